// SPDX-License-Identifier: Apache-2.0
// Tensor: a value-semantic handle on shared, strided device memory. Knows nothing of gradients.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "core/storage.h"

namespace clausius {

/// Copying a Tensor copies the handle: both see the same memory. Views (reshape, transpose, slice,
/// select, expand) share it too. Fresh tensors are dense and row-major. Kernels take any strides as
/// long as the last dimension is dense; `contiguous()` makes a dense copy where one is needed.
class Tensor {
 public:
  Tensor() = default;

  /// Uninitialised memory.
  [[nodiscard]] static Tensor empty(const Shape& shape, Dtype dtype, Device device = kCpu);
  [[nodiscard]] static Tensor zeros(const Shape& shape, Dtype dtype, Device device = kCpu);
  [[nodiscard]] static Tensor full(const Shape& shape,
                                   double value,
                                   Dtype dtype,
                                   Device device = kCpu);
  /// A rank-0 tensor.
  [[nodiscard]] static Tensor scalar(double value, Dtype dtype = Dtype::kF32, Device device = kCpu);
  /// A copy of host values. Errors: ShapeError when the counts differ.
  template <class T>
  [[nodiscard]] static Tensor from(std::span<const T> values, const Shape& shape) {
    Tensor tensor = empty(shape, dtype_of<T>);
    tensor.assign(values.data(), values.size() * sizeof(T));
    return tensor;
  }
  template <class T>
  [[nodiscard]] static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  /// A dense tensor over existing storage, starting at `offset` elements.
  [[nodiscard]] static Tensor over(std::shared_ptr<Storage> storage,
                                   std::int64_t offset,
                                   const Shape& shape,
                                   Dtype dtype);

  [[nodiscard]] bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  [[nodiscard]] int rank() const { return shape_.rank(); }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] const Shape& strides() const { return strides_; }
  /// Negative axes count from the end.
  [[nodiscard]] std::int64_t size(int axis) const { return shape_[axis]; }
  [[nodiscard]] std::int64_t stride(int axis) const { return strides_[axis]; }
  [[nodiscard]] std::int64_t numel() const { return shape_.numel(); }
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(numel()) * size_of(dtype_);
  }
  [[nodiscard]] Dtype dtype() const { return dtype_; }
  [[nodiscard]] Device device() const { return storage_ ? storage_->device() : kCpu; }
  [[nodiscard]] bool is_contiguous() const;
  /// True when the last dimension is dense, which is what kernels ask for.
  [[nodiscard]] bool last_is_dense() const;
  [[nodiscard]] bool shares_storage_with(const Tensor& other) const {
    return storage_ == other.storage_;
  }

  /// True when no other tensor shares the memory, so that writing in place surprises nobody.
  [[nodiscard]] bool owns_storage_alone() const { return storage_.use_count() == 1; }

  /// First element. Errors: DtypeError when T is not the tensor's type.
  template <class T>
  [[nodiscard]] const T* data() const {
    check_type(dtype_of<T>);
    return reinterpret_cast<const T*>(raw());
  }
  template <class T>
  [[nodiscard]] T* data() {
    check_type(dtype_of<T>);
    return reinterpret_cast<T*>(raw());
  }
  [[nodiscard]] std::byte* raw() const {
    return storage_ ? storage_->data() + offset_ * static_cast<std::int64_t>(size_of(dtype_))
                    : nullptr;
  }
  /// The dense elements. Errors: ShapeError when the tensor is not contiguous.
  template <class T>
  [[nodiscard]] std::span<const T> span() const {
    check_contiguous();
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  template <class T>
  [[nodiscard]] std::span<T> span() {
    check_contiguous();
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  /// The only element, converted. Errors: ShapeError when there is not exactly one.
  [[nodiscard]] double item() const;

  // Views. Errors: ShapeError naming the shape and what was asked.
  /// Same elements in another shape; one size may be -1. Needs dense memory, or strides that the
  /// split or merge keeps.
  [[nodiscard]] Tensor reshape(const Shape& shape) const;
  [[nodiscard]] Tensor transpose(int a, int b) const;
  /// Elements [begin, end) along `axis`.
  [[nodiscard]] Tensor slice(int axis, std::int64_t begin, std::int64_t end) const;
  /// One index along `axis`, which disappears.
  [[nodiscard]] Tensor select(int axis, std::int64_t index) const;
  /// Repeats size-1 dimensions (and adds leading ones) with stride 0.
  [[nodiscard]] Tensor expand(const Shape& shape) const;

  // Copies.
  [[nodiscard]] Tensor contiguous() const;
  [[nodiscard]] Tensor clone() const;
  /// The same tensor when nothing changes.
  [[nodiscard]] Tensor to(Dtype dtype) const;
  [[nodiscard]] Tensor to(Device device) const;
  void fill(double value);
  /// Element-wise copy with conversion; shapes must match.
  void copy_from(const Tensor& source);

 private:
  void assign(const void* values, std::size_t bytes);
  void check_type(Dtype wanted) const;
  void check_contiguous() const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;
  Shape shape_;
  Shape strides_;
  Dtype dtype_ = Dtype::kF32;
};

/// A strided window on a tensor's elements for references and tests: `v(i, j)` is element (i, j).
template <class T, int N>
class View {
 public:
  explicit View(const Tensor& tensor)
      : data_(const_cast<T*>(tensor.data<std::remove_const_t<T>>())) {
    CLS_CHECK(tensor.rank() == N, ShapeError, "a view of rank ", N, " on a tensor of shape ",
              tensor.shape());
    for (int axis = 0; axis < N; ++axis) {
      strides_[static_cast<std::size_t>(axis)] = tensor.stride(axis);
    }
  }
  template <class... Index>
  T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == N);
    std::int64_t offset = 0;
    std::size_t axis = 0;
    ((offset += static_cast<std::int64_t>(index) * strides_[axis++]), ...);
    return data_[offset];
  }

 private:
  T* data_;
  std::array<std::int64_t, static_cast<std::size_t>(std::max(N, 1))> strides_{};
};

}  // namespace clausius
