/** Integer formats of 2 to 16 bits. */
package org.tersor.plugins.int8;
