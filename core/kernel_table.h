// SPDX-License-Identifier: Apache-2.0
// The kernels of one op by (device, element type), and the rule that chooses among them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/device.h"
#include "core/device_backend.h"
#include "core/dry_run.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/macros.h"
#include "core/tensor.h"

namespace clausius {

/// What `doctor` and the parity table read.
class KernelTableBase {
 public:
  explicit KernelTableBase(std::string_view op);
  KernelTableBase(const KernelTableBase&) = delete;
  KernelTableBase& operator=(const KernelTableBase&) = delete;
  virtual ~KernelTableBase() = default;

  [[nodiscard]] std::string_view op() const { return op_; }
  /// A hand-written kernel, not the reference.
  [[nodiscard]] virtual bool has(DeviceKind device, Dtype dtype) const = 0;

 private:
  std::string_view op_;
};

/// Every table used so far in this process, in order of construction.
[[nodiscard]] const std::vector<const KernelTableBase*>& kernel_tables();

template <class Signature>
class KernelTable;

/// Kernels take `const Tensor&` inputs, `Tensor&` outputs (allocated, uninitialised unless the op
/// says otherwise) and plain values. Choice on the CPU: f64 runs reference<double>; f32 and bf16
/// run the registered kernel, else reference<float> (bf16 through f32 copies of its bf16
/// arguments). On other devices a missing kernel is an UnsupportedError naming op, device and
/// element type; a profiler sees each run as a range of the op's name. In a dry run nothing runs.
template <class... Args>
class KernelTable<void(Args...)> final : public KernelTableBase {
 public:
  using Kernel = void (*)(Args...);

  KernelTable(std::string_view op, Kernel reference_f64, Kernel reference_f32)
      : KernelTableBase(op), reference_f64_(reference_f64), reference_f32_(reference_f32) {}

  void add(DeviceKind device, Dtype dtype, Kernel kernel) { slot(device, dtype) = kernel; }

  [[nodiscard]] bool has(DeviceKind device, Dtype dtype) const override {
    return const_cast<KernelTable*>(this)->slot(device, dtype) != nullptr;
  }

  void run(Device device, Dtype dtype, std::type_identity_t<Args>... args) const {
    const ErrorFrame frame(op());
    if (in_dry_run()) {
      return;
    }
    const DeviceRange range(device, op());
    if (device.kind == DeviceKind::kCpu && dtype == Dtype::kF64) {
      return reference_f64_(args...);
    }
    const Kernel kernel = const_cast<KernelTable*>(this)->slot(device.kind, dtype);
    if (kernel != nullptr) {
      return kernel(args...);
    }
    CLS_CHECK(device.kind == DeviceKind::kCpu && (dtype == Dtype::kF32 || dtype == Dtype::kBf16),
              UnsupportedError, "no ", device.kind, " kernel for ", dtype,
              " yet; floating types on the cpu always work");
    if (dtype == Dtype::kF32) {
      return reference_f32_(args...);
    }
    run_widened(std::tuple<Widened<Args>...>(Widened<Args>(args)...),
                std::index_sequence_for<Args...>{});
  }

 private:
  // Holds an argument for reference<float>: bf16 tensors become f32 copies, results are rounded
  // back.
  template <class Arg>
  class Widened {
   public:
    explicit Widened(Arg arg) : arg_(arg) {
      if constexpr (std::is_same_v<std::remove_cvref_t<Arg>, Tensor>) {
        wide_ = arg.defined() && arg.dtype() == Dtype::kBf16 ? arg.to(Dtype::kF32) : arg;
      }
    }
    decltype(auto) get() {
      if constexpr (std::is_same_v<std::remove_cvref_t<Arg>, Tensor>) {
        return (wide_);
      } else {
        return static_cast<Arg>(arg_);
      }
    }
    void write_back() {
      if constexpr (std::is_same_v<Arg, Tensor&>) {
        if (arg_.defined() && arg_.dtype() == Dtype::kBf16) {
          arg_.copy_from(wide_);
        }
      }
    }

   private:
    Arg arg_;
    std::conditional_t<std::is_same_v<std::remove_cvref_t<Arg>, Tensor>, Tensor, std::monostate>
        wide_;
  };

  template <std::size_t... I>
  void run_widened(std::tuple<Widened<Args>...> wide, std::index_sequence<I...> /*unused*/) const {
    reference_f32_(std::get<I>(wide).get()...);
    (std::get<I>(wide).write_back(), ...);
  }

  Kernel& slot(DeviceKind device, Dtype dtype) {
    return kernels_[static_cast<std::size_t>(device)][static_cast<std::size_t>(dtype)];
  }

  Kernel reference_f64_;
  Kernel reference_f32_;
  std::array<std::array<Kernel, 6>, 2> kernels_{};
};

namespace detail {
struct KernelRegistrar {
  template <class Table, class Kernel>
  KernelRegistrar(Table& table, DeviceKind device, Dtype dtype, Kernel kernel) {
    table.add(device, dtype, kernel);
  }
};
}  // namespace detail
}  // namespace clausius

/// CLS_KERNEL(softmax_forward, kCpu, kF32, softmax_forward_cpu<float>) fills `softmax_forward_kernels()` before main.
#define CLS_KERNEL(op, device, dtype, ...)                                                       \
  static const ::clausius::detail::KernelRegistrar CLS_CONCAT(op##_registrar_, __COUNTER__)(     \
      ::clausius::ops::op##_kernels(), ::clausius::DeviceKind::device, ::clausius::Dtype::dtype, \
      __VA_ARGS__)
