package org.tersor.ir.dsl;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tersor.ir.kernel.Kernel;

/** What a {@code .kern} file holds, in order. */
public record KernFile(
    List<Kernel> kernels, Map<String, FormatDef> formats, List<ScheduleHint> schedules) {
  public KernFile {
    kernels = List.copyOf(kernels);
    formats = Collections.unmodifiableMap(new LinkedHashMap<>(formats));
    schedules = List.copyOf(schedules);
  }

  /** The schedule line of a kernel, if the file has one. */
  public Optional<ScheduleHint> schedule(Kernel kernel) {
    return schedules.stream().filter(line -> line.kernel().equals(kernel.name())).findFirst();
  }
}
