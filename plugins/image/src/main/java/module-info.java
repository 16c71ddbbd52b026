import org.jspecify.annotations.NullMarked;

/** ImageDecoder. */
@NullMarked
module org.tersor.plugins.image {
  requires static transitive org.jspecify;
  requires transitive org.tersor.ir;
  requires java.desktop;
  requires com.twelvemonkeys.imageio.pnm;
  requires com.twelvemonkeys.imageio.webp;

  provides org.tersor.ir.op.OperatorProvider with
      org.tersor.plugins.image.ImageOperators;
  provides org.tersor.runtime.host.HostPack with
      org.tersor.plugins.image.ImagePack;
}
