/* FormatMessage, whose arguments are a list: they are taken from it here, as many words as the text names, because stable
 * Rust cannot; src/text/message.rs does the rest. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* As in src/text/message.rs. */
enum { MOST_ARGUMENTS = 101, ARGUMENT_ARRAY = 0x2000 };

size_t fltwin32_message_arguments(uint32_t flags, const void *source, int is_wide);
uint32_t fltwin32_message_wide(uint32_t flags, const void *source, uint32_t code, void *buffer, uint32_t size,
                               const uintptr_t *arguments, size_t count);
uint32_t fltwin32_message_narrow(uint32_t flags, const void *source, uint32_t code, void *buffer, uint32_t size,
                                 const uintptr_t *arguments, size_t count);

/* The arguments of a call, of which there are `count`: in an array, or taken from the list into `taken`. */
static const uintptr_t *arguments_of(uint32_t flags, va_list *list, uintptr_t *taken, size_t count) {
    if (flags & ARGUMENT_ARRAY || list == NULL)
        return (const uintptr_t *)list;
    for (size_t i = 0; i < count; i++)
        taken[i] = va_arg(*list, uintptr_t);
    return taken;
}

uint32_t FormatMessageW(uint32_t flags, const void *source, uint32_t code, uint32_t language, void *buffer, uint32_t size,
                        va_list *list) {
    uintptr_t taken[MOST_ARGUMENTS];
    size_t count = fltwin32_message_arguments(flags, source, 1);
    const uintptr_t *arguments = arguments_of(flags, list, taken, count);
    (void)language;
    return fltwin32_message_wide(flags, source, code, buffer, size, arguments, count);
}

uint32_t FormatMessageA(uint32_t flags, const void *source, uint32_t code, uint32_t language, void *buffer, uint32_t size,
                        va_list *list) {
    uintptr_t taken[MOST_ARGUMENTS];
    size_t count = fltwin32_message_arguments(flags, source, 0);
    const uintptr_t *arguments = arguments_of(flags, list, taken, count);
    (void)language;
    return fltwin32_message_narrow(flags, source, code, buffer, size, arguments, count);
}
