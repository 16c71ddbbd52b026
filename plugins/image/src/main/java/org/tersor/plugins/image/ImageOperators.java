package org.tersor.plugins.image;

import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import org.tersor.ir.graph.ValueType;
import org.tersor.ir.graph.ValueType.TensorType;
import org.tersor.ir.op.HostOperator;
import org.tersor.ir.op.OpContext;
import org.tersor.ir.op.OpSchema;
import org.tersor.ir.op.OpSchema.AttributeKind;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;
import org.tersor.runtime.DType;
import org.tersor.runtime.DimExpr;

/** ImageDecoder: the bytes of a picture's file to U8[height, width, channels]. */
public final class ImageOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    return List.of(new ImageDecoder());
  }

  private static final class ImageDecoder extends HostOperator {
    ImageDecoder() {
      super(
          OpSchema.of("", "ImageDecoder", 20)
              .input("encoded_stream", "U")
              .output("image", "U")
              .types("U", EnumSet.of(DType.U8))
              .attribute("pixel_format", AttributeKind.STRING)
              .tolerance(OpSchema.Tolerance.EXACT),
          DesktopDecode.ofThisJava());
    }

    private static String format(OpContext c) {
      String format = c.stringAttr("pixel_format", "RGB");
      if (!List.of("RGB", "BGR", "Grayscale").contains(format)) {
        throw c.error("TSR-0304", "pixel_format '" + format + "' is not defined");
      }
      return format;
    }

    @Override
    protected List<ValueType> types(OpContext c) {
      String tag = "_data" + c.node().id();
      return List.of(
          TensorType.of(
              DType.U8,
              List.of(
                  DimExpr.symbol(tag + "_height"),
                  DimExpr.symbol(tag + "_width"),
                  DimExpr.of(format(c).equals("Grayscale") ? 1 : 3))));
    }

    @Override
    protected Map<String, List<String>> settings(OpContext c) {
      return Map.of("pixel_format", List.of(format(c)));
    }
  }
}
