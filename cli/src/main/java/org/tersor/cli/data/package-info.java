/** Files that hold tensors: .npy, .npz, IDX, images, raw bytes. */
@NullMarked
package org.tersor.cli.data;

import org.jspecify.annotations.NullMarked;
