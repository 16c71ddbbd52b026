package org.tersor.ir.kernel;

import org.tersor.runtime.DimExpr;

/** An iteration axis: 0 to extent-1. Names are unique within a kernel. */
public record Axis(String name, DimExpr extent) {}
