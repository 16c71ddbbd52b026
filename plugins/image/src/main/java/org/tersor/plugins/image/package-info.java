/** Pictures in files to tensors. */
package org.tersor.plugins.image;
