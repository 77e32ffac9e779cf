/* C's `long double` for INCRBYFLOAT and HINCRBYFLOAT, whose results clients see digit for digit, and `strtod` for the
 * forms that Rust's parser does not know (hexadecimal floats, nan with a payload).
 *
 * A value is passed as an opaque block of at least sizeof(long double) bytes. Numbers are copied in and out with
 * memcpy, so that the caller's alignment does not matter. */

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest finite value in %.17Lf: 4933 digits, sign, point, 17 decimals. */
enum { TEXT_LEN_MAX = 5 * 1024 };

_Static_assert(sizeof(long double) <= 16, "the block of the Rust side holds 16 bytes");

static long double load(const void *block) {
    long double value;
    memcpy(&value, block, sizeof value);
    return value;
}

static void store(void *block, long double value) {
    memset(block, 0, 16);
    memcpy(block, &value, sizeof value);
}

static int is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* 1 and a value when all `len` bytes are a number. */
int ringstone_long_double_parse(const char *text, size_t len, void *out) {
    char buf[TEXT_LEN_MAX];
    char *end;
    if (len == 0 || len >= sizeof buf || is_space(text[0])) return 0;
    memcpy(buf, text, len);
    buf[len] = '\0';
    errno = 0;
    long double value = strtold(buf, &end);
    if ((size_t)(end - buf) != len || errno == EINVAL || isnan(value)) return 0;
    if (errno == ERANGE && (isinf(value) || value == 0)) return 0;
    store(out, value);
    return 1;
}

void ringstone_long_double_from_i64(long long value, void *out) {
    store(out, (long double)value);
}

void ringstone_long_double_add(const void *a, const void *b, void *out) {
    store(out, load(a) + load(b));
}

/* The next integer that is not below value * factor; 1 when it fits. */
int ringstone_long_double_ceil_times(const void *value, long long factor, long long *out) {
    long double product = ceill(load(value) * (long double)factor);
    if (!(product >= -0x1p63L && product < 0x1p63L)) return 0;
    *out = (long long)product;
    return 1;
}

int ringstone_long_double_is_finite(const void *value) {
    return isfinite(load(value)) != 0;
}

/* Length of the text of a finite value: 17 decimals without trailing zeros. 0 when it does not fit `cap`. */
size_t ringstone_long_double_format(const void *value, char *out, size_t cap) {
    int printed = snprintf(out, cap, "%.17Lf", load(value));
    if (printed <= 0 || (size_t)printed >= cap) return 0;
    size_t len = (size_t)printed;
    if (memchr(out, '.', len) != NULL) {
        while (out[len - 1] == '0') len--;
        if (out[len - 1] == '.') len--;
    }
    if (len == 2 && out[0] == '-' && out[1] == '0') {
        out[0] = '0';
        len = 1;
    }
    return len;
}

/* 1 and a value when all `len` bytes are a double. */
int ringstone_double_parse(const char *text, size_t len, double *out) {
    char buf[TEXT_LEN_MAX];
    char *end;
    if (len == 0 || len >= sizeof buf || is_space(text[0])) return 0;
    memcpy(buf, text, len);
    buf[len] = '\0';
    errno = 0;
    double value = strtod(buf, &end);
    if ((size_t)(end - buf) != len || errno == EINVAL || isnan(value)) return 0;
    if (errno == ERANGE && (isinf(value) || value == 0)) return 0;
    *out = value;
    return 1;
}
