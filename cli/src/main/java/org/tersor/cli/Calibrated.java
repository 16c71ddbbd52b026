package org.tersor.cli;

import java.util.LinkedHashMap;
import java.util.Map;
import org.tersor.conformance.LoadedModel;
import org.tersor.passes.quant.SampleSet;

/** Whether a model is judged by samples that it was calibrated with. */
final class Calibrated {
  private Calibrated() {}

  /**
   * Warns if it is; an .onnx keeps marks of its samples in its metadata, an artifact describes
   * them.
   *
   * @return for JSON: number and hash of the samples, and how many of them are marked
   */
  static Map<String, Object> warn(ModelOptions options, LoadedModel model, SampleSet used) {
    Map<String, String> facts = new LinkedHashMap<>(model.graph().metadata());
    model
        .executable()
        .describe()
        .lines()
        .filter(line -> line.startsWith(SampleSet.KEY))
        .map(line -> line.split(": ", 2))
        .filter(sides -> sides.length == 2)
        .forEach(sides -> facts.put(sides[0], sides[1]));
    int shared = used.sharedWith(facts);
    if (shared > 0) {
      options.common.warn(
          options.model.getFileName()
              + " was calibrated with at least "
              + shared
              + " of these "
              + used.size()
              + " samples: what it shows on them is better than elsewhere");
    }
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("different", used.size());
    json.put("sha256", used.sha256());
    json.put("sharedWithCalibration", shared);
    return json;
  }
}
