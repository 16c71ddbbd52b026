package org.tersor.runtime.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tersor.runtime.DType;
import org.tersor.runtime.Datum;
import org.tersor.runtime.Tensor;
import org.tersor.runtime.TersorException;

class HostOpsTest {
  private record Echo(String id) implements HostOp {
    @Override
    public List<Datum> run(HostCall call) {
      return List.of(call.datum(0));
    }
  }

  @Test
  void anIdIsTakenOnce() {
    HostPack pack = () -> List.of(new Echo("a"));
    assertEquals("a", new HostOps(List.of(pack)).get("a").id());
    TersorException twice =
        assertThrows(TersorException.class, () -> new HostOps(List.of(pack, pack)));
    assertEquals("TSR-0105", twice.code());
    TersorException unknown =
        assertThrows(TersorException.class, () -> new HostOps(List.of(pack)).get("b"));
    assertEquals("TSR-0106", unknown.code());
  }

  @Test
  void aCallReadsItsOperandsAndSettings() {
    HostCall call =
        new HostCall(
            "n",
            List.of(
                Optional.of(Tensor.of(new long[] {7})),
                Optional.empty(),
                Optional.of(new Datum.Maybe(Optional.of(Tensor.of(new long[] {1, 2}, 2)))),
                Optional.of(new Datum.Sequence(List.of(Tensor.of(new int[] {1}))))),
            Map.of("axis", List.of("-1"), "bad", List.of("x")),
            1);
    assertEquals(7, call.integer(0));
    assertEquals(2, call.tensor(2).size());
    assertEquals(1, call.sequence(3).size());
    assertEquals(-1, call.longSetting("axis"));
    assertEquals(2, call.position(-1, 3, "index"));
    assertEquals("TSR-0301", code(() -> call.datum(1)));
    assertEquals("TSR-0302", code(() -> call.tensor(3)));
    assertEquals("TSR-0302", code(() -> call.strings(0)));
    assertEquals("TSR-0303", code(() -> call.integer(2)));
    assertEquals("TSR-0304", code(() -> call.longSetting("bad")));
    assertEquals("TSR-0304", code(() -> call.setting("absent")));
    assertEquals("TSR-0305", code(() -> call.position(3, 3, "index")));
    assertEquals("TSR-0303", code(() -> call.allocate(DType.F32, 1L << 40, 1L << 40)));
  }

  private static String code(org.junit.jupiter.api.function.Executable action) {
    return assertThrows(TersorException.class, action).code();
  }
}
