/** Language models in GGUF files, with their tokenizers. */
package org.tersor.plugins.gguf;
