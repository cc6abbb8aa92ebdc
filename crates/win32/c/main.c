/* main, for a program whose first function is wmain: its arguments in 16-bit characters. In an archive of its own, so that
 * it is taken only by a program that has no main. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint16_t wide;
typedef int first(int, wide **, wide **);

int MultiByteToWideChar(unsigned page, unsigned flags, const char *from, int from_length, wide *to, int to_size);

/* As C calls it, and as C++ calls it with its various parameters. */
#define WEAK __attribute__((weak))
WEAK first wmain, _Z5wmainv, _Z5wmainiPPw, _Z5wmainiPPKw, _Z5wmainiPPwS0_;

static wide **widen(char **strings) {
    size_t count = 0;
    while (strings[count] != NULL)
        count++;
    wide **widened = calloc(count + 1, sizeof *widened);
    for (size_t at = 0; widened != NULL && at < count; at++) {
        size_t room = strlen(strings[at]) + 1;
        widened[at] = calloc(room, sizeof(wide));
        if (widened[at] != NULL)
            MultiByteToWideChar(65001, 0, strings[at], -1, widened[at], (int)room);
    }
    return widened;
}

int main(int count, char **arguments, char **environment) {
    first *const all[] = {wmain, _Z5wmainiPPw, _Z5wmainiPPKw, _Z5wmainiPPwS0_, _Z5wmainv};
    for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
        if (all[at] != NULL)
            return all[at](count, widen(arguments), widen(environment));
    }
    fputs("this program has no main and no wmain\n", stderr);
    return 127;
}
