/* What Microsoft's analysers read.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_SUPPRESS_H
#define FLTWIN32_SUPPRESS_H

#include <sal.h>

#endif
