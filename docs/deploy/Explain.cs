// Predict and explain a picture with a file that `onnx-reciprocam rewrite` wrote, in C# on .NET 8.
//
//   dotnet new console -o explain && cd explain && dotnet add package Microsoft.ML.OnnxRuntime
//   cp ../Explain.cs Program.cs && dotnet run -- explained.onnx photo.ppm heat.pgm
//
// The picture is a binary PPM (raw RGB with a line of header) of the input's own size, which any tool writes:
//   convert photo.jpg -resize 224x224^ -gravity center -extent 224x224 photo.ppm

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
using var session = new InferenceSession(args[0]);

// 1. What the file says of itself: real names of inputs and outputs, preprocessing, labels.
var told = session.ModelMetadata.CustomMetadataMap;
var inputs = JsonSerializer.Deserialize<Dictionary<string, string>>(told["reciprocam.inputs"])!;
var outputs = JsonSerializer.Deserialize<Dictionary<string, string>>(told["reciprocam.outputs"])!;
var labels = JsonSerializer.Deserialize<string[]>(told.GetValueOrDefault("reciprocam.labels", "[]"))!;
var how = JsonSerializer.Deserialize<How>(told.GetValueOrDefault("reciprocam.preprocessing", "{}"))!;
string NameOf(int index) => index < labels.Length ? labels[index] : index.ToString();

// 2. The picture as the input.
var declared = session.InputMetadata[inputs["image"]].Dimensions;
var nchw = how.layout is null ? declared[1] is 1 or 3 : how.layout == "nchw";
var picture = ReadPpm(args[1]);
var channels = how.color == "gray" ? 1 : 3;
long[] shape = nchw ? [1, channels, picture.Height, picture.Width] : [1, picture.Height, picture.Width, channels];
using var input = OrtValue.CreateTensorValueFromMemory(Prepare(picture, how, nchw), shape);

// 3. One run: scores, maps [B, K, H, W] and, unless every class has a map, the class of each map [B, K].
var hasClasses = outputs.TryGetValue("saliency_classes", out var classes);
List<string> wanted = [outputs["score"], outputs["saliency"]];
if (hasClasses) wanted.Add(classes!);
using var runOptions = new RunOptions();
using var results = session.Run(runOptions, new Dictionary<string, OrtValue> { [inputs["image"]] = input }, wanted);
var result = results.ToArray();
var activation = told.GetValueOrDefault("reciprocam.activation", "none");
var shares = Probabilities(result[0].GetTensorDataAsSpan<float>().ToArray(), activation);
var ranked = Enumerable.Range(0, shares.Length).OrderByDescending(index => shares[index]).ToArray();
foreach (var index in ranked.Take(3)) Console.WriteLine($"{NameOf(index)}\t{shares[index]:F4}");

var grid = result[1].GetTensorTypeAndShape().Shape;
var (height, width) = ((int)grid[2], (int)grid[3]);
var explained = hasClasses ? (int)result[2].GetTensorDataAsSpan<long>()[0] : ranked[0];
var first = hasClasses ? 0 : explained * height * width;
var cells = result[1].GetTensorDataAsSpan<float>().Slice(first, height * width).ToArray();
Console.WriteLine($"map of {NameOf(explained)}, {height}x{width}:");
foreach (var row in cells.Chunk(width)) Console.WriteLine(string.Join(" ", row.Select(value => value.ToString("F3"))));

// 4. The map as a grey picture, a pixel per cell.
var (low, high) = (cells.Min(), cells.Max());
using var heat = File.Create(args[2]);
heat.Write(Encoding.ASCII.GetBytes($"P5 {width} {height} 255\n"));
heat.Write(cells.Select(value => (byte)(255 * (value - low) / Math.Max(high - low, 1e-9f))).ToArray());

// Width, height and pixels of a binary PPM.
static Picture ReadPpm(string path)
{
    var bytes = File.ReadAllBytes(path);
    var header = Regex.Match(Encoding.Latin1.GetString(bytes, 0, Math.Min(64, bytes.Length)), @"^P6\s+(\d+)\s+(\d+)\s+255\s");
    if (!header.Success) throw new InvalidDataException($"{path} is no binary PPM of 8 bits");
    return new(int.Parse(header.Groups[1].Value), int.Parse(header.Groups[2].Value), bytes[header.Length..]);
}

// (pixel * scale - mean) / std per channel, laid out as the network wants it.
static float[] Prepare(Picture picture, How how, bool nchw)
{
    var (gray, bgr) = (how.color == "gray", how.color == "bgr");
    var (channels, cells) = (gray ? 1 : 3, picture.Width * picture.Height);
    var values = new float[channels * cells];
    for (var cell = 0; cell < cells; cell++)
    {
        var rgb = picture.Pixels.AsSpan(3 * cell, 3);
        for (var c = 0; c < channels; c++)
        {
            var pixel = gray ? MathF.Round(0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]) : rgb[bgr ? 2 - c : c];
            values[nchw ? c * cells + cell : cell * channels + c] =
                (pixel * how.scale - how.mean[c % how.mean.Length]) / how.std[c % how.std.Length];
        }
    }
    return values;
}

// Of one image's scores; the file says what made them.
static double[] Probabilities(float[] scores, string activation)
{
    if (activation is "softmax" or "sigmoid") return scores.Select(score => (double)score).ToArray();
    if (scores.Length == 1) return [1 / (1 + Math.Exp(-scores[0]))];
    var top = scores.Max();
    var raised = scores.Select(score => Math.Exp(score - top)).ToArray();
    var sum = raised.Sum();
    return raised.Select(value => value / sum).ToArray();
}

record Picture(int Width, int Height, byte[] Pixels);

// ImageNet's, where the file says nothing; named as the file names them.
record How
{
    public float[] mean { get; init; } = [0.485f, 0.456f, 0.406f];
    public float[] std { get; init; } = [0.229f, 0.224f, 0.225f];
    public float scale { get; init; } = 1 / 255f;
    public string color { get; init; } = "rgb";
    public string? layout { get; init; }
}
