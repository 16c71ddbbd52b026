package org.tersor.ir.dsl;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tersor.ir.kernel.Kernel;

/** What a {@code .kern} file holds, in order. */
public record KernFile(
    List<Kernel> kernels, Map<String, FormatDef> formats, List<ScheduleHint> schedules) {
  public KernFile {
    kernels = List.copyOf(kernels);
    formats = Collections.unmodifiableMap(new LinkedHashMap<>(formats));
    schedules = List.copyOf(schedules);
  }
}
