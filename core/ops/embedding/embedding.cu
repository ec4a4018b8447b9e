// SPDX-License-Identifier: Apache-2.0
// CUDA kernels of embedding. The gradient sorts the tokens, cuts the sorted list into pieces of fixed length, and adds each
// piece in order: a token that fills many pieces is summed by many blocks, and always in the same order.
#include <limits>
#include <type_traits>

#include "core/cuda/launch.cuh"
#include "core/cuda/sort.h"
#include "core/cuda/vec.cuh"
#include "core/ops/embedding/embedding.h"

namespace clausius::ops {
namespace {

using cuda::Floats;
using cuda::Part;

constexpr int kWarp = 32;
constexpr int kRowsOfBlock = 8;

// A warp a row, W elements a lane. A token outside the vocabulary, which nothing on the device can refuse, gives NaN.
template <class T, int W>
__global__ void __launch_bounds__(kWarp* kRowsOfBlock)
    embedding_forward_kernel(std::int64_t count,
                             std::int64_t vocabulary,
                             std::int64_t width,
                             const std::int32_t* tokens,
                             const T* table,
                             T* y) {
  using Run = std::conditional_t<W == 1, T, uint4>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t row =
      std::int64_t{blockIdx.x} * kRowsOfBlock + static_cast<int>(threadIdx.x) / kWarp;
  if (row >= count) {
    return;
  }
  const std::int64_t token = tokens[row];
  T* to = y + row * width;
  if (token < 0 || token >= vocabulary) {
    for (std::int64_t i = lane; i < width; i += kWarp) {
      to[i] = T(std::numeric_limits<float>::quiet_NaN());
    }
    return;
  }
  const auto* from = reinterpret_cast<const Run*>(table + token * width);
  for (std::int64_t i = lane; i < width / W; i += kWarp) {
    reinterpret_cast<Run*>(to)[i] = from[i];
  }
}

template <class T, int W>
void launch_forward(const Tensor& tokens, const Tensor& table, Tensor& y) {
  cuda::launch(
      embedding_forward_kernel<T, W>,
      {.grid = dim3(narrow<unsigned>(div_ceil<std::int64_t>(tokens.size(0), kRowsOfBlock))),
       .block = dim3(kWarp * kRowsOfBlock)},
      tokens.size(0), table.size(0), table.size(1), tokens.data<std::int32_t>(), table.data<T>(),
      y.data<T>());
}

template <class T>
void embedding_forward_cuda(const Tensor& tokens, const Tensor& table, Tensor& y) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  table.size(1) % kWidth == 0 && cuda::aligned_for_vectors(table.raw(), y.raw())
      ? launch_forward<T, kWidth>(tokens, table, y)
      : launch_forward<T, 1>(tokens, table, y);
}

// Sorted positions that a block adds up, one after the other, kAhead rows of dy in flight.
constexpr int kPiece = 32;
constexpr int kAhead = 4;

struct Segments {
  std::int64_t count = 0;
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;
  const std::int32_t* tokens = nullptr;     // rising
  const std::int32_t* positions = nullptr;  // rising for each token
  float* open =
      nullptr;  // [pieces][2][width]: sums of a token that goes on before (0) or only behind (1) its piece
  float* dtable = nullptr;
};

template <int W>
__device__ void add_to(float* to, const Floats<W>& sum) {
  for (int i = 0; i < W; ++i) {
    to[i] += sum.value[i];
  }
}

template <int W>
__device__ void put(float* to, const Floats<W>& sum) {
  for (int i = 0; i < W; ++i) {
    to[i] = sum.value[i];
  }
}

// Where the sum of the token that ends before sorted place `end` of a piece belongs.
template <int W>
__device__ void close(const Segments& s,
                      std::int64_t piece,
                      std::int64_t token,
                      std::int64_t end,
                      std::int64_t column,
                      const Floats<W>& sum) {
  const std::int64_t first = piece * kPiece;
  if (first > 0 && s.tokens[first - 1] == token) {
    put(s.open + (2 * piece) * s.width + column, sum);
  } else if (end == first + kPiece && end < s.count && s.tokens[end] == token) {
    put(s.open + (2 * piece + 1) * s.width + column, sum);
  } else if (token >= 0 && token < s.vocabulary) {
    add_to(s.dtable + token * s.width + column, sum);
  }
}

// Grid: pieces x tiles of columns; a thread holds W columns.
template <class T, int W>
__global__ void __launch_bounds__(256) piece_sums_kernel(Segments s, const T* dy) {
  const std::int64_t piece = blockIdx.x;
  const std::int64_t column =
      (std::int64_t{blockIdx.y} * blockDim.x + static_cast<std::int64_t>(threadIdx.x)) * W;
  if (column >= s.width) {
    return;
  }
  const std::int64_t first = piece * kPiece;
  const std::int64_t end = first + kPiece < s.count ? first + kPiece : s.count;
  std::int64_t token = s.tokens[first];
  Floats<W> sum{};
  for (std::int64_t begin = first; begin < end; begin += kAhead) {
    Floats<W> row[kAhead];
    for (int k = 0; k < kAhead; ++k) {
      const std::int64_t at = begin + k < end ? begin + k : end - 1;
      row[k] = Part<T, W>::load(dy + s.positions[at] * s.width + column);
    }
    for (int k = 0; k < kAhead && begin + k < end; ++k) {
      const std::int64_t next = s.tokens[begin + k];
      if (next != token) {
        close(s, piece, token, begin + k, column, sum);
        sum = {};
        token = next;
      }
      for (int i = 0; i < W; ++i) {
        sum.value[i] += row[k].value[i];
      }
    }
  }
  close(s, piece, token, end, column, sum);
}

// The block of the piece where a long token begins adds what the pieces hold of it, in order. Same grid, one column a thread.
__global__ void __launch_bounds__(256) join_pieces_kernel(Segments s, std::int64_t pieces) {
  const std::int64_t piece = blockIdx.x;
  const std::int64_t column =
      std::int64_t{blockIdx.y} * blockDim.x + static_cast<std::int64_t>(threadIdx.x);
  const std::int64_t last = (piece + 1) * kPiece - 1;
  if (column >= s.width || last + 1 >= s.count) {
    return;
  }
  const std::int32_t token = s.tokens[last];
  const bool begins_here = piece == 0 || s.tokens[piece * kPiece - 1] != token;
  if (s.tokens[last + 1] != token || !begins_here || token < 0 || token >= s.vocabulary) {
    return;
  }
  float sum = s.open[(2 * piece + 1) * s.width + column];
  for (std::int64_t next = piece + 1; next < pieces && s.tokens[next * kPiece] == token; ++next) {
    sum += s.open[2 * next * s.width + column];
  }
  s.dtable[token * s.width + column] += sum;
}

cuda::LaunchConfig grid_of(std::int64_t pieces, std::int64_t threads) {
  const std::int64_t block = std::min<std::int64_t>(256, round_up<std::int64_t>(threads, kWarp));
  return {.grid = dim3(narrow<unsigned>(pieces), narrow<unsigned>(div_ceil(threads, block))),
          .block = dim3(narrow<unsigned>(block))};
}

template <class T>
void embedding_backward_cuda(const Tensor& dy, const Tensor& tokens, Tensor& dtable) {
  constexpr int kWidth = cuda::kVectorWidth<T>;
  const std::int64_t width = dtable.size(1);
  const std::int64_t pieces = div_ceil<std::int64_t>(tokens.size(0), kPiece);
  const cuda::SortedKeys sorted = cuda::sort_keys(tokens);
  Tensor open = Tensor::empty({pieces, 2, width}, Dtype::kF32, dy.device());
  const Segments segments{.count = tokens.size(0),
                          .vocabulary = dtable.size(0),
                          .width = width,
                          .tokens = sorted.keys_N.data<std::int32_t>(),
                          .positions = sorted.positions_N.data<std::int32_t>(),
                          .open = open.data<float>(),
                          .dtable = dtable.data<float>()};
  if (width % kWidth == 0 && cuda::aligned_for_vectors(dy.raw())) {
    cuda::launch(piece_sums_kernel<T, kWidth>, grid_of(pieces, width / kWidth), segments,
                 dy.data<T>());
  } else {
    cuda::launch(piece_sums_kernel<T, 1>, grid_of(pieces, width), segments, dy.data<T>());
  }
  cuda::launch(join_pieces_kernel, grid_of(pieces, width), segments, pieces);
}

CLS_KERNEL(embedding_forward, kCuda, kF32, embedding_forward_cuda<float>);
CLS_KERNEL(embedding_forward, kCuda, kBf16, embedding_forward_cuda<bf16>);
CLS_KERNEL(embedding_backward, kCuda, kF32, embedding_backward_cuda<float>);
CLS_KERNEL(embedding_backward, kCuda, kBf16, embedding_backward_cuda<bf16>);

}  // namespace
}  // namespace clausius::ops
