package org.tersor.cli.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.runtime.Executable.Port;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

/**
 * Texts for models that read characters: each line of the .txt files of a folder is a sample, and a
 * file characters.json there says the number of each character. An integer input of two dimensions
 * gets the numbers [1, length], one of one dimension the length. Characters without a number are
 * left out.
 */
final class Characters {
  static final String NUMBERS = "characters.json";

  private Characters() {}

  static Samples.Data of(List<Path> files, List<Port> inputs) throws IOException {
    for (Port port : inputs) {
      if (!port.dtype().isInteger() || port.shape().isEmpty() || port.shape().size() > 2) {
        throw new TersorException(
            "TSR-0903",
            "input '"
                + port.name()
                + "' takes no characters: it must have integers and one or two dimensions");
      }
    }
    Map<String, Long> numbers = Map.of();
    List<String> lines = new ArrayList<>();
    for (Path file : files) {
      String name = String.valueOf(file.getFileName());
      if (name.equals(NUMBERS)) {
        numbers = numbers(file);
      } else if (name.endsWith(".txt")) {
        lines.addAll(Files.readAllLines(file).stream().filter(line -> !line.isBlank()).toList());
      }
    }
    if (numbers.isEmpty()) {
      throw new TersorException(
          "TSR-0902", "a folder of .txt needs " + NUMBERS + " with the number of each character");
    }
    Map<String, Long> known = numbers;
    List<long[]> coded = lines.stream().map(line -> coded(line, known)).toList();
    return new Samples.Data(
        coded.size(), List.of(), (from, batch) -> call(coded.subList(from, from + batch), inputs));
  }

  private static long[] coded(String line, Map<String, Long> numbers) {
    return line.codePoints()
        .mapToObj(Character::toString)
        .filter(numbers::containsKey)
        .mapToLong(c -> numbers.getOrDefault(c, 0L))
        .toArray();
  }

  private static Map<String, Tensor> call(List<long[]> texts, List<Port> inputs) {
    if (texts.size() != 1) {
      throw new TersorException("TSR-0906", "texts have different lengths: --batch must be 1");
    }
    long[] text = texts.getFirst();
    Map<String, Tensor> call = new LinkedHashMap<>();
    for (Port port : inputs) {
      boolean length = port.shape().size() == 1;
      Tensor tensor =
          length ? Tensor.zeros(port.dtype(), 1) : Tensor.zeros(port.dtype(), 1, text.length);
      for (int i = 0; i < tensor.size(); i++) {
        tensor.setLong(i, length ? text.length : text[i]);
      }
      call.put(port.name(), tensor);
    }
    return call;
  }

  private static Map<String, Long> numbers(Path file) throws IOException {
    try {
      return new ObjectMapper().readValue(file.toFile(), new TypeReference<Map<String, Long>>() {});
    } catch (JsonProcessingException e) {
      throw new TersorException(
          "TSR-0903", file + " must be an object of characters and their numbers", e);
    }
  }
}
