import org.jspecify.annotations.NullMarked;

/** 8-bit integer formats. */
@NullMarked
@SuppressWarnings("module") // the name ends in a digit because the format's does
module org.tersor.plugins.int8 {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;

  provides org.tersor.ir.format.NumberFormat with
      org.tersor.plugins.int8.Int8Formats.S8SymmetricTensor,
      org.tersor.plugins.int8.Int8Formats.S8SymmetricTensorRestricted,
      org.tersor.plugins.int8.Int8Formats.S8SymmetricChannel,
      org.tersor.plugins.int8.Int8Formats.S8SymmetricChannelRestricted,
      org.tersor.plugins.int8.Int8Formats.S8AffineTensor,
      org.tersor.plugins.int8.Int8Formats.S8AffineChannel,
      org.tersor.plugins.int8.Int8Formats.U8SymmetricTensor,
      org.tersor.plugins.int8.Int8Formats.U8SymmetricChannel,
      org.tersor.plugins.int8.Int8Formats.U8AffineTensor,
      org.tersor.plugins.int8.Int8Formats.U8AffineChannel;
}
