// SPDX-License-Identifier: Apache-2.0
// Token pasting for macros that make unique names.
#pragma once

#define CLS_CONCAT_INNER(a, b) a##b
#define CLS_CONCAT(a, b) CLS_CONCAT_INNER(a, b)
