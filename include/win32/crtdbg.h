/* Assertions of Windows' C library.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_CRTDBG_H
#define FLTWIN32_CRTDBG_H

#include <assert.h>

#define _ASSERT(condition) assert(condition)
#define _ASSERTE(condition) assert(condition)
#define _RPT0(type, format) ((void)0)
#define _RPT1(type, format, one) ((void)0)
#define _CrtDumpMemoryLeaks() 0
#define _CrtSetDbgFlag(flag) 0
#define _CRTDBG_ALLOC_MEM_DF 0x01
#define _CRTDBG_LEAK_CHECK_DF 0x20

#endif
