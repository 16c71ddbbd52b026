/** Language models on the command line: texts, calls with a cache, perplexity. */
@NullMarked
package org.tersor.cli.text;

import org.jspecify.annotations.NullMarked;
