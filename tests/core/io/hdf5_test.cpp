// SPDX-License-Identifier: Apache-2.0
// HDF5 files: round trips, checksums that notice one flipped bit, errors that name file and
// dataset, foreign types.
#include "core/io/hdf5.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <array>
#include <cstring>
#include <fstream>
#include <numeric>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include "core/error.h"
#include "core/io/file.h"
#include "tests/support/temporary_directory.h"

namespace clausius {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Call>
std::string io_error_of(const Call& call) {
  try {
    call();
  } catch (const IoError& error) {
    return error.what();
  }
  return "no IoError was thrown";
}

Tensor counting(const Shape& shape, Dtype dtype) {
  Tensor values = Tensor::empty(shape, Dtype::kI32);
  std::span<std::int32_t> all = values.span<std::int32_t>();
  std::iota(all.begin(), all.end(), 1);
  return values.to(dtype);
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

void flip_bit(const std::filesystem::path& path, std::size_t offset) {
  std::string content = read_file(path);
  content[offset] = static_cast<char>(content[offset] ^ 4);
  std::ofstream(path, std::ios::binary) << content;
}

TEST(Hdf5, EveryTypeAndShapeComesBack) {
  const test::TemporaryDirectory directory;
  const std::vector<Dtype> dtypes{Dtype::kF64, Dtype::kF32, Dtype::kBf16,
                                  Dtype::kI64, Dtype::kI32, Dtype::kU8};
  const std::vector<Shape> shapes{{}, {1}, {0, 5}, {7, 13}, {2, 3, 2, 1, 2, 2}};
  Hdf5Writer writer(directory / "t.h5");
  for (const Dtype dtype : dtypes) {
    for (std::size_t s = 0; s < shapes.size(); ++s) {
      writer.tensor(concat("all/", dtype, "/", s), counting(shapes[s], dtype));
    }
  }
  writer.tensor("strided", counting({3, 4}, Dtype::kF32).transpose(0, 1));
  writer.close();

  const Hdf5Reader reader(directory / "t.h5", Hdf5Reader::Checksums::kRequired);
  for (const Dtype dtype : dtypes) {
    for (std::size_t s = 0; s < shapes.size(); ++s) {
      EXPECT_TRUE(
          same_bytes(reader.tensor(concat("all/", dtype, "/", s)), counting(shapes[s], dtype)))
          << dtype << shapes[s];
    }
  }
  EXPECT_TRUE(same_bytes(reader.tensor("strided"),
                         counting({3, 4}, Dtype::kF32).transpose(0, 1).contiguous()));
  EXPECT_EQ(reader.datasets("all").size(), dtypes.size() * shapes.size());
  EXPECT_EQ(reader.datasets().back(), "strided");
  EXPECT_TRUE(reader.contains("all/f32/3"));
  EXPECT_FALSE(reader.contains("all/f16/3"));
  EXPECT_FALSE(reader.contains("none/at/all"));
}

TEST(Hdf5, TextsAndAttributes) {
  const test::TemporaryDirectory directory;
  const std::string long_text = "t\xc3\xb6kens " + std::string(200000, 'x');
  Hdf5Writer writer(directory / "t.h5");
  writer.text("texts/long", long_text);
  writer.text("texts/empty", "");
  writer.group("meta");
  writer.attribute("meta", "step", 12);
  writer.attribute("/", "score", 0.5);
  writer.attribute("texts/long", "what", "a text");
  EXPECT_THROW(writer.text("zero", std::string("a\0b", 3)), IoError);
  writer.close();

  const Hdf5Reader reader(directory / "t.h5");
  EXPECT_EQ(reader.text("texts/long"), long_text);
  EXPECT_EQ(reader.text("texts/empty"), "");
  EXPECT_EQ(reader.require<std::int64_t>("meta", "step"), 12);
  EXPECT_EQ(reader.require<double>("meta", "step"), 12.0);
  EXPECT_EQ(reader.require<double>("/", "score"), 0.5);
  EXPECT_EQ(reader.require<std::string>("texts/long", "what"), "a text");
  EXPECT_EQ(reader.attribute("meta", "none"), std::nullopt);
  EXPECT_THAT(io_error_of([&] { (void)reader.require<std::string>("meta", "step"); }),
              HasSubstr("'step' of 'meta'"));
  EXPECT_THAT(io_error_of([&] { (void)reader.tensor("texts/long"); }),
              HasSubstr("'texts/long' is a text"));
}

TEST(Hdf5, FlippedBitNamesTheDataset) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "t.h5";
  const Tensor weights = counting({1000}, Dtype::kF32);
  {
    Hdf5Writer writer(path);
    writer.tensor("parameters/wq", weights);
    writer.tensor("parameters/wk", counting({10}, Dtype::kF32));
    writer.close();
  }
  const std::string content = read_file(path);
  const std::size_t at =
      content.find(std::string(reinterpret_cast<const char*>(weights.raw()) + 400, 64));
  ASSERT_NE(at, std::string::npos);
  flip_bit(path, at);
  const Hdf5Reader reader(path);
  EXPECT_THAT(
      io_error_of([&] { (void)reader.tensor("parameters/wq"); }),
      AllOf(HasSubstr("t.h5"), HasSubstr("'parameters/wq' is damaged"), HasSubstr("checksum")));
  EXPECT_EQ(reader.tensor("parameters/wk").numel(), 10);
}

// A bit of a small file, wherever it flips, is either noticed on reading or of no consequence.
TEST(Hdf5, NoFlippedBitGivesOtherValues) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "t.h5";
  const Tensor values = counting({5}, Dtype::kI32);
  {
    Hdf5Writer writer(path);
    writer.tensor("v", values);
    writer.close();
  }
#ifdef __SANITIZE_ADDRESS__
  const __lsan::ScopedDisabler library_leaks;  // HDF5 leaks on some of its error paths
#endif
  const std::size_t size = read_file(path).size();
  int noticed = 0;
  for (std::size_t offset = 0; offset < size; offset += 23) {
    flip_bit(path, offset);
    try {
      const Hdf5Reader reader(path, Hdf5Reader::Checksums::kRequired);
      EXPECT_TRUE(same_bytes(reader.tensor("v"), values)) << "byte " << offset;
    } catch (const IoError&) {
      ++noticed;
    }
    flip_bit(path, offset);
  }
  EXPECT_GT(noticed, 0);
}

TEST(Hdf5, ErrorsNameFileObjectAndReason) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT(io_error_of([&] { Hdf5Reader reader(directory / "none.h5"); }),
              HasSubstr("none.h5: No such file or directory"));
  EXPECT_THAT(io_error_of([&] { Hdf5Writer writer(directory / "no" / "f.h5"); }),
              HasSubstr("no/f.h5: No such file or directory"));
  std::ofstream(directory / "junk.h5") << "not at all";
  EXPECT_THAT(io_error_of([&] { Hdf5Reader reader(directory / "junk.h5"); }),
              AllOf(HasSubstr("junk.h5: cannot open"), HasSubstr("signature")));
  Hdf5Writer writer(directory / "t.h5");
  writer.tensor("x", counting({2}, Dtype::kF32));
  EXPECT_THAT(io_error_of([&] { writer.tensor("x", counting({2}, Dtype::kF32)); }),
              AllOf(HasSubstr("t.h5: cannot create dataset 'x'"), HasSubstr("exists")));
  writer.close();
  const Hdf5Reader reader(directory / "t.h5");
  EXPECT_THAT(io_error_of([&] { (void)reader.tensor("y"); }), HasSubstr("cannot open dataset 'y'"));
  Tensor wrong = Tensor::empty({3}, Dtype::kF32);
  EXPECT_THROW(reader.tensor_into("x", wrong), ShapeError);
  wrong = Tensor::empty({2}, Dtype::kF64);
  EXPECT_THROW(reader.tensor_into("x", wrong), DtypeError);
  Tensor right = Tensor::empty({2}, Dtype::kF32);
  reader.tensor_into("x", right);
  EXPECT_THAT(right.span<float>(), ElementsAre(1, 2));
}

TEST(Hdf5, RowsOfTheFirstAxis) {
  const test::TemporaryDirectory directory;
  {
    Hdf5Writer writer(directory / "t.h5");
    writer.tensor("x", counting({5, 2}, Dtype::kI64));
    writer.close();
  }
  const Hdf5Reader reader(directory / "t.h5");
  EXPECT_THAT(reader.rows("x", 1, 3).span<std::int64_t>(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(reader.rows("x", 5, 5).shape(), (Shape{0, 2}));
  EXPECT_THAT(io_error_of([&] { (void)reader.rows("x", 3, 6); }),
              HasSubstr("rows [3, 6) of dataset 'x'"));
}

TEST(Hdf5, BigTensorsStartOnPages) {
  const test::TemporaryDirectory directory;
  const Tensor big = counting({3, 1111}, Dtype::kF32);
  {
    Hdf5Writer writer(directory / "t.h5");
    writer.tensor("a", big);
    writer.tensor("b", big);
    writer.close();
  }
  const std::string content = read_file(directory / "t.h5");
  const std::string bytes(reinterpret_cast<const char*>(big.raw()), big.bytes());
  const std::size_t first = content.find(bytes);
  const std::size_t second = content.find(bytes, first + 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_EQ(first % 4096, 0U);
  EXPECT_EQ(second % 4096, 0U);
}

TEST(Hdf5, ForeignTypesAreWidened) {
  const test::TemporaryDirectory directory;
  const auto path = directory / "foreign.h5";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t size = 2;
  const hid_t space = H5Screate_simple(1, &size, nullptr);
  const auto put = [&](const char* name, hid_t stored, hid_t memory, const void* data) {
    const hid_t set = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ASSERT_GE(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5Dclose(set);
  };
  const hid_t half = H5Tcopy(H5T_IEEE_F32BE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  const std::array<float, 2> floats{0.5F, -3.0F};
  const std::array<std::uint32_t, 2> unsigned_ints{4000000000U, 60000U};
  put("f16", half, H5T_NATIVE_FLOAT, floats.data());
  put("f64be", H5T_IEEE_F64BE, H5T_NATIVE_FLOAT, floats.data());
  put("u32", H5T_STD_U32LE, H5T_NATIVE_UINT32, unsigned_ints.data());
  put("u16", H5T_STD_U16LE, H5T_NATIVE_UINT32, unsigned_ints.data() + 0);
  H5Tclose(half);
  H5Sclose(space);
  H5Fclose(file);
  const Hdf5Reader reader(path);
  EXPECT_THAT(reader.tensor("f16").span<float>(), ElementsAre(0.5F, -3.0F));
  EXPECT_THAT(reader.tensor("f64be").span<double>(), ElementsAre(0.5, -3.0));
  EXPECT_THAT(reader.tensor("u32").span<std::int64_t>(), ElementsAre(4000000000, 60000));
  EXPECT_THAT(reader.tensor("u16").span<std::int32_t>(), ElementsAre(65535, 60000));
  EXPECT_THAT(
      io_error_of([&] { (void)Hdf5Reader(path, Hdf5Reader::Checksums::kRequired).tensor("u16"); }),
      HasSubstr("'u16' has no checksum"));
}

TEST(Hdf5, ThreadsUseTheirOwnFiles) {
  const test::TemporaryDirectory directory;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&directory, t] {
      Hdf5Writer writer(directory / concat(t, ".h5"));
      for (int i = 0; i < 20; ++i) {
        writer.tensor(concat("x", i), Tensor::full({100}, t * 100 + i, Dtype::kI32));
      }
      writer.close();
      try {
        const Hdf5Reader missing(directory / "missing.h5");
      } catch (const IoError&) {
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (int t = 0; t < 3; ++t) {
    EXPECT_EQ(Hdf5Reader(directory / concat(t, ".h5")).tensor("x19").select(0, 99).item(),
              t * 100 + 19);
  }
}

}  // namespace
}  // namespace clausius
