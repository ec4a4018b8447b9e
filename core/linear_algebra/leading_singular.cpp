// SPDX-License-Identifier: Apache-2.0
// Golub-Kahan-Lanczos bidiagonalisation, and Eigen's full decomposition beside it.
#include "core/linear_algebra/leading_singular.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <Eigen/Dense>

#include "core/parallel.h"

namespace clausius {
namespace {

using Vector = Eigen::VectorXd;
using Basis = Eigen::MatrixXd;  // one vector a column

// Rows of a block that is widened to f64 at a time: it stays in the second cache.
constexpr std::int64_t kRows = 64;

// W as f64 blocks of rows, without an f64 copy of all of it.
class Products {
 public:
  explicit Products(const Tensor& weight_MN)
      : weight_(weight_MN.to(kCpu).contiguous()),
        rows_(weight_.size(0)),
        columns_(weight_.size(1)) {}

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }

  [[nodiscard]] Vector times(const Vector& x) const {
    Vector y(rows_);
    parallel_for(rows_, kRows, [&](std::int64_t begin, std::int64_t end) {
      y.segment(begin, end - begin).noalias() = block(begin, end) * x;
    });
    return y;
  }

  [[nodiscard]] Vector transposed_times(const Vector& y) const {
    Basis partial(columns_, div_ceil(rows_, kRows));
    parallel_for(rows_, kRows, [&](std::int64_t begin, std::int64_t end) {
      partial.col(begin / kRows).noalias() =
          block(begin, end).transpose() * y.segment(begin, end - begin);
    });
    Vector x = partial.col(0);
    for (std::int64_t i = 1; i < partial.cols(); ++i) {
      x += partial.col(i);
    }
    return x;
  }

  [[nodiscard]] Basis all() const { return block(0, rows_); }

 private:
  // In the weight's own order: widening does not transpose.
  using Block = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  template <class T>
  [[nodiscard]] Block block_of(std::int64_t begin, std::int64_t end) const {
    using Rows = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return Eigen::Map<const Rows>(weight_.data<T>() + begin * columns_, end - begin, columns_)
        .template cast<double>();
  }
  [[nodiscard]] Block block(std::int64_t begin, std::int64_t end) const {
    return weight_.dtype() == Dtype::kF64 ? block_of<double>(begin, end)
                                          : block_of<float>(begin, end);
  }

  Tensor weight_;
  std::int64_t rows_;
  std::int64_t columns_;
};

void check_matrix(const Tensor& weight_MN, std::string_view name) {
  CLS_CHECK(weight_MN.rank() == 2 && weight_MN.numel() > 0, ShapeError, name, " is ",
            weight_MN.shape(), "; expected a matrix with elements");
  CLS_CHECK(weight_MN.dtype() == Dtype::kF32 || weight_MN.dtype() == Dtype::kF64, DtypeError, name,
            " is ", weight_MN.dtype(), "; expected f32 or f64");
}

void check_norm(double norm, std::string_view name) {
  CLS_CHECK(std::isfinite(norm), GuardError, name,
            " holds values that are not finite: it has no "
            "spectral norm");
  CLS_CHECK(norm > 0, ConfigError, name,
            " is all zeros: it has no spectral norm to divide by. To "
            "start a branch at zero use gamma = 0");
}

Tensor tensor_of(const Vector& x) {
  Tensor tensor = Tensor::empty({x.size()}, Dtype::kF64);
  std::copy(x.begin(), x.end(), tensor.data<double>());
  return tensor;
}

// Removes what lies in the space of the first `count` vectors; twice is enough to f64 accuracy.
void reorthogonalise(const Basis& basis, std::int64_t count, Vector& x) {
  for (int pass = 0; pass < 2; ++pass) {
    const Vector parts = basis.leftCols(count).transpose() * x;
    x.noalias() -= basis.leftCols(count) * parts;
  }
}

// W Q = P B with B upper bidiagonal: `diagonal`, and `above` it.
struct Bidiagonal {
  Basis left;   // P
  Basis right;  // Q
  std::vector<double> diagonal = {};
  std::vector<double> above = {};
};

// From k steps; `coupling` is the next element above the diagonal.
LeadingSingular leading_of(const Bidiagonal& b, double coupling) {
  const auto steps = std::ssize(b.diagonal);
  Basis matrix = Basis::Zero(steps, steps);
  for (std::ptrdiff_t i = 0; i < steps; ++i) {
    matrix(i, i) = b.diagonal[static_cast<std::size_t>(i)];
    if (i + 1 < steps) {
      matrix(i, i + 1) = b.above[static_cast<std::size_t>(i)];
    }
  }
  const Eigen::JacobiSVD<Basis> svd(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const double sigma = svd.singularValues()(0);
  const Vector u = (b.right.leftCols(steps) * svd.matrixV().col(0)).normalized();
  const Vector v = (b.left.leftCols(steps) * svd.matrixU().col(0)).normalized();
  return {.sigma = sigma,
          .u_N = tensor_of(u),
          .v_M = tensor_of(v),
          .residual = coupling * std::abs(svd.matrixU()(steps - 1, 0)) / sigma,
          .steps = static_cast<int>(steps)};
}

}  // namespace

Tensor random_unit(std::int64_t size, const RandomStream& stream) {
  Tensor x = Tensor::empty({size}, Dtype::kF64);
  fill_normal(x, stream, 0.0, 1.0);
  const Eigen::Map<Vector> values(x.data<double>(), size);
  const double norm = values.norm();
  for (double& value : x.span<double>()) {
    value /= norm;
  }
  return x;
}

LeadingSingular leading_singular_lanczos(const Tensor& weight_MN,
                                         const RandomStream& stream,
                                         std::string_view name,
                                         const LanczosOptions& options) {
  check_matrix(weight_MN, name);
  CLS_CHECK(options.most_steps >= 1, ConfigError, "[leading_singular_lanczos] most_steps is ",
            options.most_steps, "; expected 1 or more");
  const Products weight(weight_MN);
  // A wide matrix has one right vector more than left ones: its last left direction is empty.
  const std::int64_t most =
      std::min<std::int64_t>({options.most_steps, weight.rows() + 1, weight.columns()});
  constexpr std::int64_t kBetweenChecks = 5;
  Bidiagonal b{.left = Basis(weight.rows(), most), .right = Basis(weight.columns(), most)};
  const Tensor start = random_unit(weight.columns(), stream);
  b.right.col(0) = Eigen::Map<const Vector>(start.data<double>(), weight.columns());
  double largest = 0;
  for (std::int64_t k = 0;; ++k) {
    Vector p = weight.times(b.right.col(k));
    reorthogonalise(b.left, k, p);
    const double alpha = p.norm();
    largest = std::max(largest, alpha);
    if (k == 0) {
      check_norm(alpha, name);
    }
    // Below rounding, a direction is not one: the space is exhausted.
    const double negligible = 1e-14 * largest;
    b.diagonal.push_back(alpha > negligible ? alpha : 0.0);
    b.left.col(k) = alpha > negligible ? Vector(p / alpha) : Vector(Vector::Zero(p.size()));
    Vector q = weight.transposed_times(b.left.col(k));
    reorthogonalise(b.right, k + 1, q);
    const double beta = q.norm();
    const bool last = k + 1 == most || alpha <= negligible || beta <= negligible;
    if (last || (k + 1) % kBetweenChecks == 0) {
      LeadingSingular leading = leading_of(b, beta);
      if (last || leading.residual <= options.tolerance) {
        return leading;
      }
    }
    b.above.push_back(beta);
    b.right.col(k + 1) = q / beta;
  }
}

LeadingSingular leading_singular_svd(const Tensor& weight_MN, std::string_view name) {
  check_matrix(weight_MN, name);
  const Basis weight = Products(weight_MN).all();
  check_norm(weight.norm(), name);
  const Eigen::BDCSVD<Basis> svd(weight, Eigen::ComputeThinU | Eigen::ComputeThinV);
  return {.sigma = svd.singularValues()(0),
          .u_N = tensor_of(svd.matrixV().col(0)),
          .v_M = tensor_of(svd.matrixU().col(0)),
          .residual = 0,
          .steps = 0};
}

}  // namespace clausius
