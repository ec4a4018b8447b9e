// SPDX-License-Identifier: Apache-2.0
// Loops that must be unrolled so that arrays stay in registers; the host compiler of the emulator needs no such word.
#pragma once

#ifdef CLS_CUDA_EMULATION
#define CLS_UNROLL
#define CLS_UNROLL_BY(count)
#else
#define CLS_UNROLL _Pragma("unroll")
#define CLS_UNROLL_PRAGMA(text) _Pragma(#text)
#define CLS_UNROLL_BY(count) CLS_UNROLL_PRAGMA(unroll count)
#endif
