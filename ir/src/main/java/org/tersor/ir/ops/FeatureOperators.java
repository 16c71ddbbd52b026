package org.tersor.ir.ops;

import java.util.List;
import org.tersor.runtime.DType;

/** Operators of ai.onnx.ml (1) that prepare features, one column or row at a time. */
final class FeatureOperators {
  static final java.util.Set<DType> NUMBERS = Types.set(DType.F32, DType.F64, DType.I32, DType.I64);

  private FeatureOperators() {}

  static List<OpBase> all() {
    return List.of(
        new ArrayFeatureExtractor(),
        new Binarizer(),
        new Normalizer(),
        new FeatureColumns(FeatureColumns.Kind.SCALER, false),
        new FeatureColumns(FeatureColumns.Kind.SCALER, true),
        new FeatureColumns(FeatureColumns.Kind.IMPUTER, false),
        new FeatureColumns(FeatureColumns.Kind.IMPUTER, true),
        new OneHotEncoder(false),
        new OneHotEncoder(true),
        new FeatureVectorizer());
  }
}
