/* A part of windows.h on Windows.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "windows.h"
