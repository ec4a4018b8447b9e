// SPDX-License-Identifier: Apache-2.0
// Declared configs, registries and choices, on a toy family; also the example of how a family is
// set up.
#include "core/config.h"

#include <cmath>
#include <memory>

#include <gtest/gtest.h>

#include "core/config_pattern.h"
#include "core/registry.h"

namespace clausius {

// What a family looks like: a context, a base class, traits beside it, kinds that register
// themselves.
struct Room {
  std::int64_t width = 0;
};

class Shape {
 public:
  virtual ~Shape() = default;
  [[nodiscard]] virtual double area() const = 0;
};

struct ShapeFacts {
  bool round = false;
};

template <>
struct RegistryTraits<Shape> {
  static constexpr std::string_view kFamily = "shape";
  using Context = Room;
  using Make = std::unique_ptr<Shape>(const Room&, double scale);
  using Facts = ShapeFacts;
};

namespace {

enum class Edge { kSharp, kRounded };
constexpr auto words_of(Edge) {
  return words("sharp", "rounded");
}

struct Bevel {
  static constexpr std::string_view kKind = "bevel";
  double depth = 0.5;
  void visit(ConfigVisitor& v) { v.field("depth", depth, "how deep", positive); }
};

struct SquareConfig {
  static constexpr std::string_view kDoc = "four equal sides";
  std::optional<std::int64_t> side;
  Edge edge = Edge::kSharp;
  std::variant<NoKind, Bevel> finish;
  std::optional<double> limit;
  void visit(ConfigVisitor& v, const Room& room) {
    v.derived("side", side, room.width, "the room's width", "length of a side", at_least(1));
    v.field("edge", edge, "how edges end");
    v.field("finish", finish, "what is done to the surface");
    v.field("limit", limit, "largest area", positive);
  }
  void validate(const ConfigCheck& check, const Room& room) const {
    check.that(*side <= room.width, "side", "side ", *side, " is wider than the room, ",
               room.width);
  }
  [[nodiscard]] ShapeFacts facts() const { return {.round = false}; }
};

class Square final : public Shape {
 public:
  Square(const SquareConfig& config, const Room& room, double scale)
      : side_(static_cast<double>(config.side.value_or(room.width)) * scale) {}
  [[nodiscard]] double area() const override { return side_ * side_; }

 private:
  double side_;
};

struct CircleConfig {
  static constexpr std::string_view kDoc = "all points at one distance";
  double radius = 1.0;
  void visit(ConfigVisitor& v) { v.field("radius", radius, "from the centre", positive); }
  [[nodiscard]] ShapeFacts facts() const { return {.round = true}; }
};

class Circle final : public Shape {
 public:
  Circle(const CircleConfig& config, const Room& /*room*/, double scale)
      : radius_(config.radius * scale) {}
  [[nodiscard]] double area() const override { return 3.0 * radius_ * radius_; }

 private:
  double radius_;
};

CLS_REGISTER(Shape, "square", Square, SquareConfig);
CLS_REGISTER(Shape, "circle", Circle, CircleConfig);

TEST(Choice, MakesItsKind) {
  const Choice<Shape> square("square");
  EXPECT_EQ(square.make(Room{3}, 2.0)->area(), 36.0);
  const Choice<Shape> circle("circle", CircleConfig{.radius = 2.0});
  EXPECT_EQ(circle.make(Room{3}, 1.0)->area(), 12.0);
  EXPECT_TRUE(circle.facts().round);
  EXPECT_FALSE(square.facts().round);
}

TEST(Choice, IsAValue) {
  Choice<Shape> a("circle");
  Choice<Shape> b = a;
  EXPECT_EQ(a, b);
  b.get_if<CircleConfig>()->radius = 7.0;
  EXPECT_EQ(a.get_if<CircleConfig>()->radius, 1.0);
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a.get_if<SquareConfig>(), nullptr);
  EXPECT_THROW(Choice<Shape>("circle", SquareConfig{}), InternalError);
}

TEST(Choice, NamesTheNearestKind) {
  try {
    const Choice<Shape> wrong("sqare");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "unknown shape 'sqare'; did you mean 'square'? accepted: circle, square");
  }
}

TEST(Config, ReadsInContextAndFillsDerivedDefaults) {
  ConfigNode node = ConfigNode::map();
  node.add("kind", ConfigNode::word("square"));
  node.add("edge", ConfigNode::word("rounded"));
  node.add("finish", ConfigNode::word("bevel"));
  set_paths(node);
  Choice<Shape> shape;
  ReadLog log;
  read_config(node, shape, log, Room{4});
  const SquareConfig& square = *shape.get_if<SquareConfig>();
  EXPECT_EQ(square.side, 4);
  EXPECT_EQ(square.edge, Edge::kRounded);
  EXPECT_EQ(std::get<Bevel>(square.finish).depth, 0.5);
  EXPECT_EQ(square.limit, std::nullopt);

  node.add("side", ConfigNode::number(std::int64_t{5}));
  set_paths(node);
  try {
    read_config(node, shape, log, Room{4});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "recipe: key 'side': side 5 is wider than the room, 4");
  }
}

TEST(Pattern, ExpandsListsAndCycles) {
  const Pattern<Shape> one("circle");
  EXPECT_EQ(one.expand(3).size(), 3U);
  const Pattern<Shape> two(std::vector{Choice<Shape>("circle"), Choice<Shape>("square")});
  const std::vector<Choice<Shape>> layers = two.expand(4);
  EXPECT_EQ(layers[0].kind(), "circle");
  EXPECT_EQ(layers[3].kind(), "square");
  EXPECT_THROW(static_cast<void>(two.expand(3)), ConfigError);
}

TEST(Registry, DescribesItsKinds) {
  const KindSchema square = registry("shape").describe("square");
  EXPECT_EQ(square.doc, "four equal sides");
  ASSERT_EQ(square.fields.size(), 4U);
  EXPECT_EQ(notation(square.fields[0].type), "int 1+");
  EXPECT_EQ(square.fields[0].derived, "the room's width");
  EXPECT_EQ(notation(square.fields[1].type), "sharp/rounded");
  EXPECT_EQ(notation(square.fields[2].type), "choice");
  EXPECT_EQ(notation(square.fields[3].type), "real >0?");
}

}  // namespace
}  // namespace clausius
