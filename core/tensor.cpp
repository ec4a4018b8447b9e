// SPDX-License-Identifier: Apache-2.0
// Tensor construction and views; copies go through ops::copy and ops::fill.
#include "core/tensor.h"

#include <cstring>

#include "core/error.h"
#include "core/ops/copy/copy.h"

namespace clausius {

Tensor Tensor::empty(const Shape& shape, Dtype dtype, Device device) {
  for (std::int64_t size : shape) {
    CLS_CHECK(size >= 0, ShapeError, "negative size in shape ", shape);
  }
  const auto bytes = static_cast<std::size_t>(shape.numel()) * size_of(dtype);
  return over(std::make_shared<Storage>(bytes, device), 0, shape, dtype);
}

Tensor Tensor::over(std::shared_ptr<Storage> storage,
                    std::int64_t offset,
                    const Shape& shape,
                    Dtype dtype) {
  const auto end = static_cast<std::size_t>(offset + shape.numel()) * size_of(dtype);
  CLS_CHECK(offset >= 0 && end <= storage->bytes(), ShapeError, "shape ", shape, " of ", dtype,
            " at offset ", offset, " exceeds ", storage->bytes(), " bytes of storage");
  Tensor tensor;
  tensor.storage_ = std::move(storage);
  tensor.offset_ = offset;
  tensor.shape_ = shape;
  tensor.strides_ = shape.dense_strides();
  tensor.dtype_ = dtype;
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device) {
  return full(shape, 0.0, dtype, device);
}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.fill(value);
  return tensor;
}

Tensor Tensor::scalar(double value, Dtype dtype, Device device) {
  return full({}, value, dtype, device);
}

bool Tensor::is_contiguous() const {
  std::int64_t expected = 1;
  for (int axis = rank() - 1; axis >= 0; --axis) {
    if (shape_[axis] != 1 && strides_[axis] != expected) {
      return numel() == 0;
    }
    expected *= shape_[axis];
  }
  return true;
}

bool Tensor::last_is_dense() const {
  return rank() == 0 || shape_[-1] <= 1 || strides_[-1] == 1;
}

double Tensor::item() const {
  CLS_CHECK(numel() == 1, ShapeError, "item() of a tensor of shape ", shape_, ", which has ",
            numel(), " elements");
  Tensor value = Tensor::empty({}, Dtype::kF64);
  value.copy_from(reshape({}));
  return *value.data<double>();
}

namespace {

Shape with_inferred(const Shape& wanted, std::int64_t numel, const Shape& from) {
  Shape shape = wanted;
  int unknown = -1;
  std::int64_t known = 1;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == -1) {
      CLS_CHECK(unknown < 0, ShapeError, "reshape to ", wanted, ": only one size may be -1");
      unknown = axis;
    } else {
      known *= shape[axis];
    }
  }
  if (unknown >= 0) {
    CLS_CHECK(known > 0 && numel % known == 0, ShapeError, "cannot reshape ", from, " to ", wanted);
    shape[unknown] = numel / known;
  }
  CLS_CHECK(shape.numel() == numel, ShapeError, "cannot reshape ", from, " (", numel,
            " elements) to ", shape, " (", shape.numel(), " elements)");
  return shape;
}

// Strides of `wanted` over the same memory, or false where a merged dimension is not evenly
// strided.
bool strides_of_reshape(const Shape& from, const Shape& strides, const Shape& wanted, Shape& out) {
  out = wanted.dense_strides();
  int axis = from.rank() - 1;
  int target = wanted.rank() - 1;
  while (target >= 0) {
    if (wanted[target] == 1) {
      out[target--] = 1;
      continue;
    }
    while (axis >= 0 && from[axis] == 1) {
      --axis;
    }
    if (axis < 0) {
      return false;
    }
    // Grow a run of source axes and a run of target axes until their products agree.
    std::int64_t source_size = from[axis];
    std::int64_t step = strides[axis];
    std::int64_t target_size = 1;
    while (true) {
      if (target_size < source_size) {
        if (target < 0) {
          return false;
        }
        out[target] = step * target_size;
        target_size *= wanted[target--];
      } else if (source_size < target_size) {
        --axis;
        while (axis >= 0 && from[axis] == 1) {
          --axis;
        }
        if (axis < 0 || strides[axis] != step * source_size) {
          return false;
        }
        source_size *= from[axis];
      } else {
        --axis;
        break;
      }
    }
  }
  return true;
}

}  // namespace

Tensor Tensor::reshape(const Shape& wanted) const {
  const Shape shape = with_inferred(wanted, numel(), shape_);
  Tensor view = *this;
  view.shape_ = shape;
  if (is_contiguous()) {
    view.strides_ = shape.dense_strides();
    return view;
  }
  CLS_CHECK(strides_of_reshape(shape_, strides_, shape, view.strides_), ShapeError,
            "cannot view shape ", shape_, " with strides ", strides_, " as ", shape,
            "; take contiguous() first");
  return view;
}

Tensor Tensor::transpose(int a, int b) const {
  Tensor view = *this;
  std::swap(view.shape_[a], view.shape_[b]);
  std::swap(view.strides_[a], view.strides_[b]);
  return view;
}

Tensor Tensor::slice(int axis, std::int64_t begin, std::int64_t end) const {
  CLS_CHECK(0 <= begin && begin <= end && end <= size(axis), ShapeError, "slice [", begin, ", ",
            end, ") of axis ", axis, " of shape ", shape_);
  Tensor view = *this;
  view.offset_ += begin * stride(axis);
  view.shape_[axis] = end - begin;
  return view;
}

Tensor Tensor::select(int axis, std::int64_t index) const {
  CLS_CHECK(0 <= index && index < size(axis), ShapeError, "index ", index, " of axis ", axis,
            " of shape ", shape_);
  Tensor view = *this;
  view.offset_ += index * stride(axis);
  Shape shape;
  Shape strides;
  const int dropped = axis < 0 ? axis + rank() : axis;
  for (int other = 0; other < rank(); ++other) {
    if (other != dropped) {
      shape.push_back(shape_[other]);
      strides.push_back(strides_[other]);
    }
  }
  view.shape_ = shape;
  view.strides_ = strides;
  return view;
}

Tensor Tensor::expand(const Shape& wanted) const {
  const int added = wanted.rank() - rank();
  CLS_CHECK(added >= 0, ShapeError, "cannot expand ", shape_, " to ", wanted);
  Tensor view = *this;
  view.shape_ = wanted;
  view.strides_ = wanted;
  for (int axis = 0; axis < wanted.rank(); ++axis) {
    const std::int64_t size = axis < added ? 1 : shape_[axis - added];
    CLS_CHECK(size == wanted[axis] || size == 1, ShapeError, "cannot expand ", shape_, " to ",
              wanted);
    view.strides_[axis] = size == 1 ? 0 : strides_[axis - added];
  }
  return view;
}

Tensor Tensor::contiguous() const {
  return is_contiguous() ? *this : clone();
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape_, dtype_, device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == dtype_) {
    return *this;
  }
  Tensor copy = empty(shape_, dtype, device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) {
    return *this;
  }
  Tensor copy = empty(shape_, dtype_, device);
  copy.copy_from(*this);
  return copy;
}

void Tensor::fill(double value) {
  ops::fill(*this, value);
}

void Tensor::copy_from(const Tensor& source) {
  ops::copy(source, *this);
}

void Tensor::assign(const void* values, std::size_t count) {
  CLS_CHECK(count == bytes(), ShapeError, count, " bytes of values for a tensor of shape ", shape_,
            " of ", dtype_);
  if (count > 0) {
    std::memcpy(raw(), values, count);
  }
}

void Tensor::check_type(Dtype wanted) const {
  CLS_CHECK(defined(), ShapeError, "data of an undefined tensor");
  CLS_CHECK(dtype_ == wanted, DtypeError, "data<", wanted, "> of a tensor of ", dtype_);
}

void Tensor::check_contiguous() const {
  CLS_CHECK(is_contiguous(), ShapeError, "span of a tensor with strides ", strides_, " and shape ",
            shape_, "; take contiguous() first");
}

}  // namespace clausius
