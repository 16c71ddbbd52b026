package org.tersor.ir.spi;

import java.util.Map;
import java.util.function.Consumer;
import org.tersor.ir.op.OpRegistry;

/**
 * What passes share.
 *
 * @param note takes one line for the report: what a pass did, or why it could not
 */
public record PassContext(
    OpRegistry operators, Map<String, String> options, Consumer<String> note) {}
