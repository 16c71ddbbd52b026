import org.jspecify.annotations.NullMarked;

/** ONNX import and export. */
@NullMarked
module org.tersor.onnx {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires com.google.protobuf;

  exports org.tersor.onnx;
  exports org.tersor.onnx.proto to
      com.google.protobuf;

  provides org.tersor.ir.spi.Frontend with
      org.tersor.onnx.OnnxFrontend;
}
