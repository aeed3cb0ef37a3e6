// Predict and explain a picture with a file that `onnx-reciprocam rewrite` wrote, in C++17.
//
//   g++ -std=c++17 -O2 explain.cpp -I$ORT/include -L$ORT/lib -lonnxruntime -o explain
//   ./explain explained.onnx photo.ppm heat.pgm
//
// ORT is an unpacked release of onnxruntime; nlohmann/json (nlohmann-json3-dev on Debian) reads the metadata.
// The picture is a binary PPM (raw RGB with a line of header) of the input's own size, which any tool writes:
//   convert photo.jpg -resize 224x224^ -gravity center -extent 224x224 photo.ppm

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using nlohmann::json;

struct Picture {
  int width, height;
  std::vector<uint8_t> pixels;
};

Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string kind;
  int width = 0, height = 0, depth = 0;
  file >> kind >> width >> height >> depth;
  file.get();
  if (!file || kind != "P6" || depth != 255 || width < 1 || height < 1 || width > 10000 || height > 10000)
    throw std::runtime_error(path + " is no binary PPM of 8 bits");
  Picture picture{width, height, std::vector<uint8_t>(size_t(3) * width * height)};
  if (!file.read(reinterpret_cast<char*>(picture.pixels.data()), picture.pixels.size()))
    throw std::runtime_error(path + " is cut short");
  return picture;
}

// (pixel * scale - mean) / std per channel, laid out as the network wants it.
std::vector<float> prepare(const Picture& picture, const json& how, bool nchw) {
  const bool gray = how["color"] == "gray", bgr = how["color"] == "bgr";
  const size_t channels = gray ? 1 : 3, cells = size_t(picture.width) * picture.height;
  const std::vector<float> mean = how["mean"], std = how["std"];
  const float scale = how["scale"];
  std::vector<float> values(channels * cells);
  for (size_t cell = 0; cell < cells; ++cell) {
    const uint8_t* rgb = &picture.pixels[3 * cell];
    for (size_t c = 0; c < channels; ++c) {
      const float pixel = gray ? std::round(0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]) : rgb[bgr ? 2 - c : c];
      values[nchw ? c * cells + cell : cell * channels + c] =
          (pixel * scale - mean[c % mean.size()]) / std[c % std.size()];
    }
  }
  return values;
}

// Of one image's scores; the file says what made them.
std::vector<double> probabilities(const float* scores, size_t count, const std::string& activation) {
  std::vector<double> shares(scores, scores + count);
  if (activation == "softmax" || activation == "sigmoid") return shares;
  if (count == 1) return {1 / (1 + std::exp(-shares[0]))};
  const double top = *std::max_element(shares.begin(), shares.end());
  for (double& share : shares) share = std::exp(share - top);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) share /= sum;
  return shares;
}

int main(int argc, char** argv) try {
  if (argc != 4) throw std::runtime_error("usage: explain EXPLAINED.onnx PHOTO.ppm HEAT.pgm");
  Ort::Env env(ORT_LOGGING_LEVEL_ERROR, "explain");
  Ort::Session session(env, argv[1], Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions allocator;

  // 1. What the file says of itself: real names of inputs and outputs, preprocessing, labels.
  const Ort::ModelMetadata metadata = session.GetModelMetadata();
  const auto told = [&](const char* key, const char* otherwise) {
    const auto value = metadata.LookupCustomMetadataMapAllocated(key, allocator);
    return std::string(value ? value.get() : otherwise);
  };
  const json inputs = json::parse(told("reciprocam.inputs", "")), outputs = json::parse(told("reciprocam.outputs", ""));
  const json labels = json::parse(told("reciprocam.labels", "[]"));
  json how = {{"mean", {0.485, 0.456, 0.406}}, {"std", {0.229, 0.224, 0.225}}, {"scale", 1 / 255.0}, {"color", "rgb"}, {"layout", nullptr}};
  how.update(json::parse(told("reciprocam.preprocessing", "{}")));
  const auto name_of = [&](size_t index) { return index < labels.size() ? labels[index].get<std::string>() : std::to_string(index); };

  // 2. The picture as the input.
  const std::string image = inputs["image"];
  std::vector<int64_t> declared;
  for (size_t i = 0; i < session.GetInputCount(); ++i)
    if (image == session.GetInputNameAllocated(i, allocator).get()) {
      const Ort::TypeInfo type = session.GetInputTypeInfo(i);
      declared = type.GetTensorTypeAndShapeInfo().GetShape();
    }
  const bool nchw = how["layout"].is_null() ? declared.at(1) == 1 || declared.at(1) == 3 : how["layout"] == "nchw";
  const Picture picture = read_ppm(argv[2]);
  std::vector<float> values = prepare(picture, how, nchw);
  const int64_t channels = how["color"] == "gray" ? 1 : 3;
  const std::vector<int64_t> shape = nchw ? std::vector<int64_t>{1, channels, picture.height, picture.width}
                                          : std::vector<int64_t>{1, picture.height, picture.width, channels};
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Ort::Value input = Ort::Value::CreateTensor<float>(memory, values.data(), values.size(), shape.data(), shape.size());

  // 3. One run: scores, maps [B, K, H, W] and, unless every class has a map, the class of each map [B, K].
  const std::string score = outputs["score"], saliency = outputs["saliency"];
  const std::string classes = outputs.value("saliency_classes", "");
  std::vector<const char*> wanted{score.c_str(), saliency.c_str()};
  if (!classes.empty()) wanted.push_back(classes.c_str());
  const char* fed = image.c_str();
  const auto result = session.Run(Ort::RunOptions{nullptr}, &fed, &input, 1, wanted.data(), wanted.size());
  const auto shares = probabilities(
      result[0].GetTensorData<float>(), result[0].GetTensorTypeAndShapeInfo().GetElementCount(), told("reciprocam.activation", "none"));
  std::vector<size_t> ranked(shares.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::stable_sort(ranked.begin(), ranked.end(), [&](size_t a, size_t b) { return shares[a] > shares[b]; });
  for (size_t i = 0; i < std::min<size_t>(3, ranked.size()); ++i)
    std::printf("%s\t%.4f\n", name_of(ranked[i]).c_str(), shares[ranked[i]]);

  const auto grid = result[1].GetTensorTypeAndShapeInfo().GetShape();
  const int64_t height = grid[2], width = grid[3];
  const size_t explained = classes.empty() ? ranked[0] : size_t(*result[2].GetTensorData<int64_t>());
  const float* cells = result[1].GetTensorData<float>() + (classes.empty() ? explained * height * width : 0);
  std::printf("map of %s, %dx%d:\n", name_of(explained).c_str(), int(height), int(width));
  for (int64_t i = 0; i < height * width; ++i) std::printf("%.3f%c", cells[i], (i + 1) % width ? ' ' : '\n');

  // 4. The map as a grey picture, a pixel per cell.
  const auto [low, high] = std::minmax_element(cells, cells + height * width);
  std::ofstream heat(argv[3], std::ios::binary);
  heat << "P5 " << width << " " << height << " 255\n";
  for (int64_t i = 0; i < height * width; ++i) heat.put(char(uint8_t(255 * (cells[i] - *low) / std::max(*high - *low, 1e-9f))));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
