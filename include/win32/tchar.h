/* Text of either kind, and its functions.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef FLTWIN32_TCHAR_H
#define FLTWIN32_TCHAR_H

#include "windows.h"

#define _TCHAR TCHAR
#define _TEXT(text) TEXT(text)
#define _T(text) TEXT(text)
#ifdef UNICODE
#define _tmain wmain
#define _tprintf wprintf
#define _ftprintf fwprintf
#define _stprintf_s swprintf_s
#define _sntprintf _snwprintf
#define _sntprintf_s _snwprintf_s
#define _vtprintf vwprintf
#define _tcslen wcslen
#define _tcscpy wcscpy
#define _tcsncpy wcsncpy
#define _tcscat wcscat
#define _tcscmp wcscmp
#define _tcsncmp wcsncmp
#define _tcsicmp _wcsicmp
#define _tcsnicmp _wcsnicmp
#define _tcschr wcschr
#define _tcsrchr wcsrchr
#define _tcsstr wcsstr
#define _tcscpy_s wcscpy_s
#define _tcsncpy_s wcsncpy_s
#define _tcscat_s wcscat_s
#define _tcsdup _wcsdup
#define _tcstoul wcstoul
#define _tcstol wcstol
#define _ttoi _wtoi
#define _fputts fputws
#define _fgetts fgetws
#define _putts _putws
#define _tfopen _wfopen
#define _tfopen_s _wfopen_s
#else
#define _tmain main
#define _tprintf printf
#define _ftprintf fprintf
#define _stprintf_s sprintf_s
#define _sntprintf _snprintf
#define _sntprintf_s _snprintf_s
#define _vtprintf vprintf
#define _tcslen strlen
#define _tcscpy strcpy
#define _tcsncpy strncpy
#define _tcscat strcat
#define _tcscmp strcmp
#define _tcsncmp strncmp
#define _tcsicmp _stricmp
#define _tcsnicmp _strnicmp
#define _tcschr strchr
#define _tcsrchr strrchr
#define _tcsstr strstr
#define _tcscpy_s strcpy_s
#define _tcsncpy_s strncpy_s
#define _tcscat_s strcat_s
#define _tcsdup _strdup
#define _tcstoul strtoul
#define _tcstol strtol
#define _ttoi atoi
#define _fputts fputs
#define _fgetts fgets
#define _putts puts
#define _tfopen fopen
#define _tfopen_s fopen_s
#endif

#endif
