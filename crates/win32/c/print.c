/* The functions with "..." of libfltwin32, which stable Rust cannot define: each takes its arguments from the list, by the
 * kinds that src/text/print.rs tells of the format, and hands them over. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint16_t wide;

union argument {
    int64_t integer;
    double real;
    const void *pointer;
};

/* As in src/text/print.rs. */
enum { KIND_INT, KIND_LONG, KIND_REAL, KIND_LONG_REAL, KIND_POINTER };
enum { MOST_ARGUMENTS = 64 };
enum overflow { CUT, CUT_WITHOUT_END, EMPTY, CUT_AND_FAIL };

int fltwin32_print_arguments(const void *format, int is_wide, uint8_t *kinds);
int fltwin32_print_to_file(const void *format, int is_wide, const union argument *arguments, size_t count, FILE *file);
int fltwin32_print_to_buffer(const void *format, int is_wide, const union argument *arguments, size_t count,
                             void *buffer, size_t size, int overflow);

/* Takes the arguments of a format from a list; how many, or -1. */
static int take(const void *format, int is_wide, va_list list, union argument *arguments) {
    uint8_t kinds[MOST_ARGUMENTS];
    int count = fltwin32_print_arguments(format, is_wide, kinds);
    for (int i = 0; i < count; i++) {
        switch (kinds[i]) {
        case KIND_INT: arguments[i].integer = va_arg(list, int); break;
        case KIND_LONG: arguments[i].integer = va_arg(list, int64_t); break;
        case KIND_REAL: arguments[i].real = va_arg(list, double); break;
        case KIND_LONG_REAL: arguments[i].real = (double)va_arg(list, long double); break;
        default: arguments[i].pointer = va_arg(list, const void *); break;
        }
    }
    return count;
}

static int to_file(FILE *file, const void *format, int is_wide, va_list list) {
    union argument arguments[MOST_ARGUMENTS];
    int count = take(format, is_wide, list, arguments);
    return count < 0 ? -1 : fltwin32_print_to_file(format, is_wide, arguments, (size_t)count, file);
}

static int to_buffer(void *buffer, size_t size, enum overflow overflow, const void *format, int is_wide, va_list list) {
    union argument arguments[MOST_ARGUMENTS];
    int count = take(format, is_wide, list, arguments);
    return count < 0 ? -1
                     : fltwin32_print_to_buffer(format, is_wide, arguments, (size_t)count, buffer, size, overflow);
}

/* A function with a list, `call`, and the same with "...". */
#define BOTH(with_list, with_dots, parameters, last, call)   \
    int with_list(PARAMETERS parameters, va_list list) {     \
        return call;                                         \
    }                                                        \
    int with_dots(PARAMETERS parameters, ...) {              \
        va_list list;                                        \
        va_start(list, last);                                \
        int printed = call;                                  \
        va_end(list);                                        \
        return printed;                                      \
    }
#define PARAMETERS(...) __VA_ARGS__

BOTH(fltwin32_vfprintf, fltwin32_fprintf, (FILE *file, const char *format), format, to_file(file, format, 0, list))
BOTH(fltwin32_vprintf, fltwin32_printf, (const char *format), format, to_file(stdout, format, 0, list))
BOTH(fltwin32_vfwprintf, fltwin32_fwprintf, (FILE *file, const wide *format), format, to_file(file, format, 1, list))
BOTH(fltwin32_vwprintf, fltwin32_wprintf, (const wide *format), format, to_file(stdout, format, 1, list))

BOTH(fltwin32_vsprintf, fltwin32_sprintf, (char *buffer, const char *format), format,
     to_buffer(buffer, SIZE_MAX, CUT, format, 0, list))
BOTH(fltwin32_vsnprintf, fltwin32_snprintf, (char *buffer, size_t size, const char *format), format,
     to_buffer(buffer, size, CUT, format, 0, list))
BOTH(_vsnprintf, _snprintf, (char *buffer, size_t size, const char *format), format,
     to_buffer(buffer, size, CUT_WITHOUT_END, format, 0, list))
BOTH(vsprintf_s, sprintf_s, (char *buffer, size_t size, const char *format), format,
     to_buffer(buffer, size, EMPTY, format, 0, list))
BOTH(_vscprintf, _scprintf, (const char *format), format, to_buffer(NULL, 0, CUT, format, 0, list))

BOTH(fltwin32_vswprintf, fltwin32_swprintf, (wide *buffer, size_t size, const wide *format), format,
     to_buffer(buffer, size, CUT_AND_FAIL, format, 1, list))
BOTH(_vsnwprintf, _snwprintf, (wide *buffer, size_t size, const wide *format), format,
     to_buffer(buffer, size, CUT_WITHOUT_END, format, 1, list))
BOTH(vswprintf_s, swprintf_s, (wide *buffer, size_t size, const wide *format), format,
     to_buffer(buffer, size, EMPTY, format, 1, list))
BOTH(_vscwprintf, _scwprintf, (const wide *format), format, to_buffer(NULL, 0, CUT, format, 1, list))

/* Cut, and -1: of these StringCchPrintf and its like are made. */
BOTH(fltwin32_vprint, fltwin32_print, (char *buffer, size_t size, const char *format), format,
     to_buffer(buffer, size, CUT_AND_FAIL, format, 0, list))

/* Those with a number of characters to be printed at most, _TRUNCATE (-1) for as many as fit. */
static int limited(void *buffer, size_t size, size_t count, const void *format, int is_wide, va_list list) {
    size_t room = count < size ? count + 1 : size;
    enum overflow overflow = count < size || count == SIZE_MAX ? CUT_AND_FAIL : EMPTY;
    return to_buffer(buffer, room, overflow, format, is_wide, list);
}

BOTH(_vsnprintf_s, _snprintf_s, (char *buffer, size_t size, size_t count, const char *format), format,
     limited(buffer, size, count, format, 0, list))
BOTH(_vsnwprintf_s, _snwprintf_s, (wide *buffer, size_t size, size_t count, const wide *format), format,
     limited(buffer, size, count, format, 1, list))

/* wsprintf prints up to 1,024 characters, and no fractions. */
BOTH(wvsprintfA, wsprintfA, (char *buffer, const char *format), format, to_buffer(buffer, 1025, CUT, format, 0, list))
BOTH(wvsprintfW, wsprintfW, (wide *buffer, const wide *format), format, to_buffer(buffer, 1025, CUT, format, 1, list))
