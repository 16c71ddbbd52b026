package org.tersor.ir.schedule;

import java.util.OptionalInt;
import org.tersor.ir.kernel.KExpr;

/** What words of several elements hold, of the factors of a product that is summed word by word. */
interface PanelCodes {
  /** An element of a factor as a word holds it, before it is narrowed to that. */
  KExpr code(Contraction.Factor factor);

  /** What makes a word of stored elements by exclusive or. Empty if the factor is not as stored. */
  OptionalInt flip(Contraction.Factor factor);
}
