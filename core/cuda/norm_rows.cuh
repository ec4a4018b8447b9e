// SPDX-License-Identifier: Apache-2.0
// What the row normalisations share: y = (x - mean) rstd gain + bias and its gradients; without a centre it is root-mean-square.
#pragma once

#include <algorithm>

#include "core/cuda/column_sums.cuh"
#include "core/cuda/rows.cuh"

namespace clausius::cuda {

/// A parameter's vector at i, `otherwise` where there is none.
template <int W>
__device__ Floats<W> parameter_at(const float* parameter, std::int64_t i, float otherwise) {
  if (parameter != nullptr) {
    return load_floats<W>(parameter + i);
  }
  Floats<W> out;
  CLS_UNROLL
  for (float& value : out.value) {
    value = otherwise;
  }
  return out;
}

[[nodiscard]] inline const float* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : nullptr;
}
[[nodiscard]] inline float* data_or_null(Tensor& tensor) {
  return tensor.defined() ? tensor.data<float>() : nullptr;
}

struct NormForward {
  std::int64_t rows;
  std::int64_t width;
  double eps;
  const float* gain;  // may be null, like bias and (without a centre) mean
  const float* bias;
  float* mean;
  float* rstd;
};

/// One read of x, one write of y where a row fits in registers.
template <class T, bool kCentred, class Layout>
__global__ void __launch_bounds__(kMostRowThreads)
    norm_forward_kernel(NormForward norm, const T* x, T* y) {
  constexpr int kWidth = Layout::kWidth;
  const std::int64_t row = Layout::first_row();
  if (row >= norm.rows) {
    return;  // a whole warp
  }
  using Sum = RowSum<Layout>;
  const RowValues<T, Layout> values(x + row * norm.width, norm.width);
  const auto n = static_cast<Sum>(norm.width);
  float centre = 0.0F;
  if constexpr (kCentred) {
    Sum sum[1] = {0};
    for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
      const auto part = values.at(k, i);
      CLS_UNROLL
      for (const float value : part.value) {
        sum[0] += static_cast<Sum>(value);
      }
    });
    row_reduce<Layout, Add>(sum, Sum(0));
    centre = static_cast<float>(sum[0] / n);
  }
  // The centre is rounded: the sum of what is left over gives the rest of the mean, and takes its square out of the variance.
  Sum moments[2] = {0, 0};
  for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
    const auto part = values.at(k, i);
    CLS_UNROLL
    for (const float value : part.value) {
      const float centred = value - centre;
      moments[0] += static_cast<Sum>(kCentred ? centred : 0.0F);
      moments[1] += static_cast<Sum>(centred) * static_cast<Sum>(centred);
    }
  });
  row_reduce<Layout, Add>(moments, Sum(0));
  const Sum rest = kCentred ? moments[0] / n : Sum(0);
  const Sum variance = moments[1] / n - rest * rest;
  const Sum scale =
      Sum(1) / std::sqrt((variance < Sum(0) ? Sum(0) : variance) + static_cast<Sum>(norm.eps));
  const auto factor = static_cast<float>(scale);
  const auto shift = static_cast<float>(-rest * scale);
  for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
    const auto gain = parameter_at<kWidth>(norm.gain, i, 1.0F);
    const auto bias = parameter_at<kWidth>(norm.bias, i, 0.0F);
    auto out = values.at(k, i);
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      const float normal =
          kCentred ? fmaf(out.value[j] - centre, factor, shift) : out.value[j] * factor;
      out.value[j] = fmaf(normal, gain.value[j], bias.value[j]);
    }
    store_floats<kWidth>(y + row * norm.width + i, out);
  });
  if (Layout::thread() == 0) {
    norm.rstd[row] = factor;
    if (kCentred) {
      norm.mean[row] = static_cast<float>(static_cast<Sum>(centre) + rest);
    }
  }
}

template <class T, bool kCentred>
void norm_forward(const Tensor& x, Tensor& y, const NormForward& norm) {
  const bool aligned = aligned_for_vectors(x.raw(), y.raw(), norm.gain, norm.bias);
  with_row_layout<T>(norm.rows, norm.width, aligned, [&](auto layout, const LaunchConfig& config) {
    launch(norm_forward_kernel<T, kCentred, decltype(layout)>, config, norm, x.data<T>(),
           y.data<T>());
  });
}

struct NormBackward {
  std::int64_t rows;
  std::int64_t width;
  const float* gain;  // may be null, like (without a centre) mean
  const float* mean;
  const float* rstd;
  float* dgain;  // may be null
  float* dbias;  // may be null
};

/// Sums over rows that a thread keeps for its columns: those of dgain, with a centre also those of dbias.
template <bool kCentred>
inline constexpr int kNormSums = kCentred ? 2 : 1;

template <class Layout, int kSums>
struct ColumnTerms {
  Floats<Layout::kWidth> sum[kSums > 0 ? kSums : 1][kSums > 0 ? Layout::kKept : 1] = {};
};

/// One row of dx; its terms of the first kSums of dgain and dbias are added to `terms`.
template <class T, bool kCentred, class Layout, int kSums>
__device__ void norm_backward_row(const NormBackward& norm,
                                  std::int64_t row,
                                  const T* dy,
                                  const T* x,
                                  T* dx,
                                  ColumnTerms<Layout, kSums>& terms) {
  constexpr int kWidth = Layout::kWidth;
  using Sum = RowSum<Layout>;
  const RowValues<T, Layout> gradients(dy + row * norm.width, norm.width);
  const RowValues<T, Layout> values(x + row * norm.width, norm.width);
  const float mean = kCentred ? norm.mean[row] : 0.0F;
  const float rstd = norm.rstd[row];
  Sum sums[2] = {0, 0};
  for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
    const auto gain = parameter_at<kWidth>(norm.gain, i, 1.0F);
    const auto gradient = gradients.at(k, i);
    const auto value = values.at(k, i);
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      const float normal = (value.value[j] - mean) * rstd;
      const float gained = gradient.value[j] * gain.value[j];
      sums[0] += static_cast<Sum>(kCentred ? gained : 0.0F);
      sums[1] += static_cast<Sum>(gained * normal);
      if constexpr (kSums > 0) {
        float& term = terms.sum[0][k].value[j];
        term = fmaf(gradient.value[j], normal, term);
      }
      if constexpr (kSums > 1) {
        terms.sum[1][k].value[j] += gradient.value[j];
      }
    }
  });
  row_reduce<Layout, Add>(sums, Sum(0));
  const auto n = static_cast<Sum>(norm.width);
  const auto average = static_cast<float>(sums[0] / n);
  const auto average_normal = static_cast<float>(sums[1] / n);
  for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
    const auto gain = parameter_at<kWidth>(norm.gain, i, 1.0F);
    const auto value = values.at(k, i);
    auto out = gradients.at(k, i);
    CLS_UNROLL
    for (int j = 0; j < kWidth; ++j) {
      const float normal = (value.value[j] - mean) * rstd;
      const float centred = out.value[j] * gain.value[j] - average;
      out.value[j] = rstd * fmaf(-normal, average_normal, centred);
    }
    store_floats<kWidth>(dx + row * norm.width + i, out);
  });
}

/// A row a warp or block.
template <class T, bool kCentred, class Layout>
__global__ void __launch_bounds__(kMostRowThreads)
    norm_backward_kernel(NormBackward norm, const T* dy, const T* x, T* dx) {
  const std::int64_t row = Layout::first_row();
  if (row >= norm.rows) {
    return;  // a whole warp
  }
  ColumnTerms<Layout, 0> none;
  norm_backward_row<T, kCentred, Layout>(norm, row, dy, x, dx, none);
}

/// Blocks walk over rows and keep the sums of their columns in registers: one read of dy and x for all gradients.
/// partial[block][sum][width]; the warps of a block add theirs in order, in as many floats of shared memory.
template <class T, bool kCentred, class Layout>
__global__ void __launch_bounds__(Layout::kWarpRow ? kRowWarps* kWarp : kMostRowThreads)
    norm_backward_sums_kernel(NormBackward norm, const T* dy, const T* x, T* dx, float* partial) {
  constexpr int kWidth = Layout::kWidth;
  constexpr int kSums = kNormSums<kCentred>;
  ColumnTerms<Layout, kSums> terms;
  for (std::int64_t row = Layout::first_row(); row < norm.rows; row += Layout::row_groups()) {
    norm_backward_row<T, kCentred, Layout>(norm, row, dy, x, dx, terms);
  }
  float* out = partial + static_cast<std::int64_t>(blockIdx.x) * kSums * norm.width;
  if constexpr (Layout::kWarpRow) {
    CLS_DYNAMIC_SHARED(float, sums);
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    for (int turn = 0; turn < kRowWarps; ++turn) {
      if (turn == warp) {
        for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
          CLS_UNROLL
          for (int sum = 0; sum < kSums; ++sum) {
            float* to = sums + sum * norm.width + i;
            Floats<kWidth> total = terms.sum[sum][k];
            if (turn > 0) {
              CLS_UNROLL
              for (int j = 0; j < kWidth; ++j) {
                total.value[j] += to[j];
              }
            }
            CLS_UNROLL
            for (int j = 0; j < kWidth; ++j) {
              to[j] = total.value[j];
            }
          }
        });
      }
      __syncthreads();
    }
    for (std::int64_t i = threadIdx.x; i < kSums * norm.width; i += blockDim.x) {
      out[i] = sums[i];
    }
  } else {
    for_each_in_row<Layout>(norm.width, [&](int k, std::int64_t i) {
      CLS_UNROLL
      for (int sum = 0; sum < kSums; ++sum) {
        store_floats<kWidth>(out + sum * norm.width + i, terms.sum[sum][k]);
      }
    });
  }
}

/// The terms of dgain and dbias, for widths whose sums do not fit in registers.
template <class T, int W, bool kCentred>
struct NormTerm {
  NormBackward norm;
  const T* dy;
  const T* x;

  __device__ void operator()(std::int64_t /*slab*/,
                             std::int64_t row,
                             std::int64_t column,
                             Floats<W> (&out)[kNormSums<kCentred>]) const {
    const Floats<W> value = load_floats<W>(x + row * norm.width + column);
    const float mean = kCentred ? norm.mean[row] : 0.0F;
    const float rstd = norm.rstd[row];
    const Floats<W> gradient = load_floats<W>(dy + row * norm.width + column);
    CLS_UNROLL
    for (int i = 0; i < W; ++i) {
      out[0].value[i] = gradient.value[i] * ((value.value[i] - mean) * rstd);
    }
    if constexpr (kCentred) {
      out[1] = gradient;
    }
  }
};

/// dgain and dbias from the sums of chunks, [chunks, sums, width].
inline void finish_norm_sums(const NormBackward& norm, const Tensor& sums) {
  const ColumnTotals totals{
      .chunks = sums.size(0), .chunk_step = sums.size(1) * norm.width, .width = norm.width};
  const float* partial = sums.data<float>();
  if (norm.dgain != nullptr) {
    column_totals(totals, partial, norm.dgain);
  }
  if (norm.dbias != nullptr) {
    column_totals(totals, partial + norm.width, norm.dbias);
  }
}

template <class T, int W, bool kCentred>
void norm_sums(const NormBackward& norm, const Tensor& dy, const Tensor& x) {
  const ColumnPlan plan = column_plan(1, norm.rows, norm.width, W);
  constexpr int kSums = kNormSums<kCentred>;
  Tensor partial = Tensor::empty({plan.chunks, kSums, norm.width}, Dtype::kF32, x.device());
  column_chunks<W, kSums>(plan, NormTerm<T, W, kCentred>{norm, dy.data<T>(), x.data<T>()}, 1.0,
                          partial.data<float>());
  finish_norm_sums(norm, partial);
}

/// fn(layout, threads) for rows whose sums fit in registers: at most 16 columns a thread of a block (four of whose five arrays are live
/// at a time: under 128 registers), 32 of a warp. Returns false for others.
template <class T, class Fn>
bool with_sums_layout(std::int64_t width, bool aligned, const Fn& fn) {
  constexpr int kWidth = kVectorWidth<T>;
  constexpr int kMost = 16 / kWidth;
  const std::int64_t vectors = width / kWidth;
  if (!aligned || width % kWidth != 0 || vectors > kMost * kMostRowThreads) {
    return false;
  }
  if (vectors <= kWarp) {
    fn(RowLayout<kWidth, 1, true>{}, kRowWarps * kWarp);
  } else if (vectors <= 2 * kWarp) {
    fn(RowLayout<kWidth, 2, true>{}, kRowWarps * kWarp);
  } else if (vectors <= 4 * kWarp) {
    fn(RowLayout<kWidth, 4, true>{}, kRowWarps * kWarp);
  } else if (vectors <= 2 * kMostRowThreads) {
    fn(RowLayout<kWidth, 2, false>{}, static_cast<int>(row_threads(vectors, 2)));
  } else {
    fn(RowLayout<kWidth, kMost, false>{}, static_cast<int>(row_threads(vectors, kMost)));
  }
  return true;
}

/// Blocks that walk over rows: 512 threads (of at most 128 registers) on each of an H100's 132 processors, and at least eight rows a
/// warp or block. Depends on the shape alone, like the sums.
[[nodiscard]] inline std::int64_t walking_blocks(std::int64_t rows, int threads, bool warp_rows) {
  const std::int64_t most = 132 * 512 / std::max(threads, 128);
  return std::clamp<std::int64_t>(div_ceil<std::int64_t>(rows, warp_rows ? 8 * kRowWarps : 8), 1,
                                  most);
}

template <class T, bool kCentred>
void norm_backward(const Tensor& dy, const Tensor& x, Tensor& dx, const NormBackward& norm) {
  const bool aligned = aligned_for_vectors(dy.raw(), x.raw(), dx.raw(), norm.gain);
  const bool sums = norm.dgain != nullptr || norm.dbias != nullptr;
  const bool together =
      sums && with_sums_layout<T>(norm.width, aligned, [&](auto layout, int threads) {
        using Layout = decltype(layout);
        const std::int64_t blocks = walking_blocks(norm.rows, threads, Layout::kWarpRow);
        constexpr int kSums = kNormSums<kCentred>;
        Tensor partial = Tensor::empty({blocks, kSums, norm.width}, Dtype::kF32, x.device());
        const auto shared = static_cast<std::size_t>(kSums * norm.width) * sizeof(float);
        launch(norm_backward_sums_kernel<T, kCentred, Layout>,
               LaunchConfig{.grid = dim3(narrow<unsigned>(blocks)),
                            .block = dim3(narrow<unsigned>(threads)),
                            .shared_bytes = Layout::kWarpRow ? shared : 0},
               norm, dy.data<T>(), x.data<T>(), dx.data<T>(), partial.data<float>());
        finish_norm_sums(norm, partial);
      });
  if (together) {
    return;
  }
  with_row_layout<T>(norm.rows, norm.width, aligned, [&](auto layout, const LaunchConfig& config) {
    launch(norm_backward_kernel<T, kCentred, decltype(layout)>, config, norm, dy.data<T>(),
           x.data<T>(), dx.data<T>());
  });
  if (!sums) {
    return;
  }
  if (aligned && norm.width % kVectorWidth<T> == 0) {
    norm_sums<T, kVectorWidth<T>, kCentred>(norm, dy, x);
  } else {
    norm_sums<T, 1, kCentred>(norm, dy, x);
  }
}

}  // namespace clausius::cuda
