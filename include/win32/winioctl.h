/* Control codes.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_WINIOCTL_H
#define FLTWIN32_WINIOCTL_H

#include "windows.h"

#define CTL_CODE(device, function, method, access) (((device) << 16) | ((access) << 14) | ((function) << 2) | (method))
#define DEVICE_TYPE_FROM_CTL_CODE(code) (((DWORD)((code)&0xFFFF0000U)) >> 16)
#define METHOD_FROM_CTL_CODE(code) ((DWORD)((code)&3))
#define METHOD_BUFFERED 0
#define METHOD_IN_DIRECT 1
#define METHOD_OUT_DIRECT 2
#define METHOD_NEITHER 3
#define FILE_ANY_ACCESS 0
#define FILE_SPECIAL_ACCESS FILE_ANY_ACCESS
#define FILE_READ_ACCESS 0x0001
#define FILE_WRITE_ACCESS 0x0002
#define DEVICE_TYPE DWORD
#define FILE_DEVICE_DISK 0x00000007
#define FILE_DEVICE_DISK_FILE_SYSTEM 0x00000008
#define FILE_DEVICE_FILE_SYSTEM 0x00000009
#define FILE_DEVICE_NETWORK_FILE_SYSTEM 0x00000014
#define FILE_DEVICE_UNKNOWN 0x00000022

#endif
