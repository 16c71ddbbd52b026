package org.tersor.ir.ops;

import java.util.ArrayList;
import java.util.List;
import org.tersor.ir.op.Operator;
import org.tersor.ir.op.OperatorProvider;

/** Fourier transforms, windows and filter banks: one line per operator. */
public final class SignalOperators implements OperatorProvider {
  @Override
  public List<Operator> operators() {
    List<Operator> all = new ArrayList<>();
    all.add(new Dft());
    all.add(new Stft());
    all.addAll(CosineWindow.all());
    all.add(new MelWeightMatrix());
    return List.copyOf(all);
  }
}
