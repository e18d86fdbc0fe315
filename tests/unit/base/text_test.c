/* Text <-> values: tables of what is right and wrong, and random numbers against the C library. */
#include "engine/base/text.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

Test(text, int64)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1 ", false, 0},
        {"+1", false, 0},
        {"1.0", false, 0},
        {"99999999999999999999999", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 77;
        cr_assert_eq(weir_text_int64(cases[i].text, strlen(cases[i].text), &value), cases[i].good,
                     "%s", cases[i].text);
        cr_assert_eq(value, cases[i].good ? cases[i].value : 77, "%s", cases[i].text);
    }
}

Test(text, exact_int64)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"1.0", true, 1},
        {"1e3", true, 1000},
        {"12.50e1", true, 125},
        {"-9.223372036854775808e18", true, INT64_MIN},
        {"9007199254740993", true, 9007199254740993},
        {"0e999999999999999999999", true, 0},
        {"-0.000", true, 0},
        {"100e-2", true, 1},
        {"1.5", false, 0},
        {"1e-1", false, 0},
        {"1e19", false, 0},
        {"9223372036854775808", false, 0},
        {"01", false, 0},
        {"1.", false, 0},
        {".5", false, 0},
        {"1e", false, 0},
        {"1e+", false, 0},
        {"0x1", false, 0},
        {"", false, 0},
        {"1e99999999999999999999", false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 77;
        cr_assert_eq(weir_text_exact_int64(cases[i].text, strlen(cases[i].text), &value),
                     cases[i].good, "%s", cases[i].text);
        cr_assert_eq(value, cases[i].good ? cases[i].value : 77, "%s", cases[i].text);
    }
}

Test(text, decimal)
{
    static const struct {
        const char *text;
        int precision, scale;
        const char *printed; /* NULL: refused */
    } cases[] = {
        {"1.5", 9, 2, "1.50"},
        {"-0.01", 9, 2, "-0.01"},
        {"1.500", 9, 1, "1.5"},
        {"1.55", 9, 1, NULL},
        {"99.9", 3, 1, "99.9"},
        {"100", 3, 1, NULL},
        {"1e2", 3, 0, "100"},
        {"0", 1, 1, "0.0"},
        {"1e-38", 38, 38, "0.00000000000000000000000000000000000001"},
        {"99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"},
        {"-99999999999999999999999999999999999999", 38, 0,
         "-99999999999999999999999999999999999999"},
        {"100000000000000000000000000000000000000", 38, 0, NULL},
        {"0.000e5", 5, 2, "0.00"},
        {"abc", 5, 2, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        weir_int128 value;
        char out[48];
        bool good = weir_text_decimal(cases[i].text, strlen(cases[i].text), cases[i].precision,
                                      cases[i].scale, &value);
        cr_assert_eq(good, cases[i].printed != NULL, "%s", cases[i].text);
        if (good) {
            cr_assert_eq(weir_print_decimal(out, value, cases[i].scale), strlen(cases[i].printed));
            cr_assert_str_eq(out, cases[i].printed);
        }
    }
}

Test(text, hard_doubles)
{
    static const char *const cases[] = {
        "0",
        "-0.0",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "9007199254740993",
        "9007199254740993.0000000001",
        "1e23",
        "8.41e21",
        "9.5e-300",
        "1e-400",
        "0.1",
        "123456789012345678901234567890",
        "1.00000000000000011102230246251565404",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203126",
        "7.2057594037927933e16",
        "6929495644600919.5",
        "3.571e266",
        "4.8726570057e288",
        "30078505129381147446200",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        double value, want = strtod(cases[i], NULL);
        cr_assert(weir_text_double(cases[i], strlen(cases[i]), &value), "%s", cases[i]);
        cr_assert_eq(memcmp(&value, &want, sizeof want), 0, "%s: %a, want %a", cases[i], value,
                     want);
    }
    static const char *const bad[] = {
        "1e400", "-1e309", "1.7976931348623159e308", "NaN", "Infinity", "", "-", "01", "1e",
        "0x1p3", "1,5"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        double value = 77;
        cr_assert_not(weir_text_double(bad[i], strlen(bad[i]), &value), "%s", bad[i]);
        cr_assert_eq(value, 77);
    }
}

Test(text, long_double_text)
{
    /* exactly between two doubles, then 5000 zeros and a one: must round up */
    size_t size = 0;
    static char text[6000];
    double value, even;
    size = (size_t)sprintf(text, "9007199254740993.");
    memset(text + size, '0', 5000);
    size += 5000;
    cr_assert(weir_text_double(text, size, &even));
    cr_assert_eq(even, 9007199254740992.0);
    text[size++] = '1';
    cr_assert(weir_text_double(text, size, &value));
    cr_assert_eq(value, 9007199254740994.0);
}

Test(text, random_doubles)
{
    uint64_t state = 20261123;
    for (int i = 0; i < 200000; i++) {
        char text[64], printed[32];
        uint64_t bits = next_random(&state);
        double random, value = 77, want, back;
        float single = 77, want_single;
        memcpy(&random, &bits, sizeof random);
        if (i % 4 == 0)
            snprintf(text, sizeof text, "%.16e", random);
        else if (i % 4 == 1)
            snprintf(text, sizeof text, "%llue%d", (unsigned long long)(bits >> (i % 60)),
                     (int)(next_random(&state) % 660) - 345);
        else if (i % 4 == 2)
            snprintf(text, sizeof text, "%.25e", random);
        else
            snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)bits,
                     (unsigned long long)next_random(&state), (int)(next_random(&state) % 70) - 40);
        if (strchr(text, 'n'))
            continue; /* nan, inf */
        want = strtod(text, NULL);
        want_single = strtof(text, NULL);
        cr_assert_eq(weir_text_double(text, strlen(text), &value), isfinite(want) != 0, "%s", text);
        cr_assert_eq(weir_text_float(text, strlen(text), &single), isfinite(want_single) != 0, "%s",
                     text);
        if (isfinite(want_single))
            cr_assert_eq(memcmp(&single, &want_single, sizeof single), 0, "%s: %a, want %a", text,
                         single, want_single);
        if (!isfinite(want))
            continue;
        cr_assert_eq(memcmp(&value, &want, sizeof want), 0, "%s: %a, want %a", text, value, want);
        size_t size = weir_print_double(printed, value);
        cr_assert_eq(size, strlen(printed));
        cr_assert(weir_text_double(printed, size, &back) && memcmp(&back, &value, sizeof back) == 0,
                  "%s", printed);
    }
}

Test(text, print_double)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-0.0, "-0"},
                 {1, "1"},
                 {0.1, "0.1"},
                 {1e16, "10000000000000000"},
                 {1e17, "1e17"},
                 {1e-5, "0.00001"},
                 {1e-6, "1e-6"},
                 {12345.678, "12345.678"},
                 {-1.5e300, "-1.5e300"},
                 {INFINITY, "inf"},
                 {-INFINITY, "-inf"}};
    char out[32];
    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_assert_eq(weir_print_double(out, cases[i].value), strlen(cases[i].text));
        cr_assert_str_eq(out, cases[i].text);
    }
    weir_print_double(out, NAN);
    cr_assert_str_eq(out, "nan");
}

Test(text, print_int64)
{
    char out[21];
    cr_assert_eq(weir_print_int64(out, INT64_MIN), 20);
    cr_assert_str_eq(out, "-9223372036854775808");
    weir_print_int64(out, 0);
    cr_assert_str_eq(out, "0");
}

Test(text, dates_and_times)
{
    static const struct {
        const char *text;
        char kind; /* d date, t time, s timestamp, z timestamptz */
        bool good;
        int64_t value;
        const char *printed; /* NULL: the same */
    } cases[] = {
        {"1970-01-01", 'd', true, 0, NULL},
        {"2024-02-29", 'd', true, 19782, NULL},
        {"0001-01-01", 'd', true, -719162, NULL},
        {"9999-12-31", 'd', true, 2932896, NULL},
        {"2023-02-29", 'd', false, 0, NULL},
        {"1900-02-29", 'd', false, 0, NULL},
        {"2000-02-29", 'd', true, 11016, NULL},
        {"0000-01-01", 'd', false, 0, NULL},
        {"2024-13-01", 'd', false, 0, NULL},
        {"2024-00-01", 'd', false, 0, NULL},
        {"2024-04-31", 'd', false, 0, NULL},
        {"2024-04-00", 'd', false, 0, NULL},
        {"2024-4-1", 'd', false, 0, NULL},
        {"2024-04-01 ", 'd', false, 0, NULL},
        {"2024/04/01", 'd', false, 0, NULL},
        {"00:00:00", 't', true, 0, NULL},
        {"23:59:59.999999", 't', true, 86399999999, NULL},
        {"24:00:00", 't', false, 0, NULL},
        {"12:00:60", 't', false, 0, NULL},
        {"12:00", 't', false, 0, NULL},
        {"12:00:00.", 't', false, 0, NULL},
        {"12:00:00.5", 't', true, 43200500000, NULL},
        {"12:00:00.1234567", 't', true, 43200123456, "12:00:00.123456"},
        {"1970-01-01T00:00:00", 's', true, 0, NULL},
        {"1969-12-31 23:59:59.999999", 's', true, -1, "1969-12-31T23:59:59.999999"},
        {"1970-01-01T00:00:00Z", 's', false, 0, NULL},
        {"1970-01-01", 's', false, 0, NULL},
        {"1970-01-01T00:00:00Z", 'z', true, 0, NULL},
        {"1970-01-01T01:00:00+01:00", 'z', true, 0, "1970-01-01T00:00:00Z"},
        {"1969-12-31T18:30:00-0530", 'z', true, 0, "1970-01-01T00:00:00Z"},
        {"1970-01-01T02:00:00+02", 'z', true, 0, "1970-01-01T00:00:00Z"},
        {"1970-01-01T00:00:00", 'z', false, 0, NULL},
        {"1970-01-01T00:00:00+24:00", 'z', false, 0, NULL},
        {"1970-01-01T00:00:00+1", 'z', false, 0, NULL},
        {"1970-01-01T00:00:00+01:0", 'z', false, 0, NULL},
        {"2025-13-45T99:00:00Z", 'z', false, 0, NULL},
        {"", 'z', false, 0, NULL},
        {"Z", 'z', false, 0, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = 77;
        int32_t days = 77;
        size_t size = strlen(cases[i].text);
        char out[40];
        bool good = cases[i].kind == 'd'   ? weir_text_date(cases[i].text, size, &days)
                    : cases[i].kind == 't' ? weir_text_time(cases[i].text, size, &value)
                    : cases[i].kind == 's' ? weir_text_timestamp(cases[i].text, size, &value)
                                           : weir_text_timestamptz(cases[i].text, size, &value);
        cr_assert_eq(good, cases[i].good, "%s", cases[i].text);
        if (!good)
            continue;
        cr_assert_eq(cases[i].kind == 'd' ? days : value, cases[i].value, "%s", cases[i].text);
        size_t printed = cases[i].kind == 'd'   ? weir_print_date(out, days)
                         : cases[i].kind == 't' ? weir_print_time(out, value)
                         : cases[i].kind == 's' ? weir_print_timestamp(out, value)
                                                : weir_print_timestamptz(out, value);
        cr_assert_eq(printed, strlen(out));
        cr_assert_str_eq(out, cases[i].printed ? cases[i].printed : cases[i].text);
    }
}

Test(text, civil_there_and_back)
{
    int64_t last_year = 0;
    unsigned month, day;
    for (int64_t days = -800000; days < 800000; days += 13) {
        int64_t year;
        weir_days_to_civil(days, &year, &month, &day);
        cr_assert_eq(weir_days_from_civil(year, month, day), days);
        cr_assert(month >= 1 && month <= 12 && day >= 1 && day <= 31);
        cr_assert(last_year == 0 || year >= last_year);
        last_year = year;
    }
    char out[40];
    weir_print_timestamp(out, INT64_MIN); /* fits its buffer, and says so under ASan */
    weir_print_timestamptz(out, INT64_MAX);
    weir_print_date(out, INT32_MIN);
    cr_assert(strlen(out) < 24);
}

Test(text, uuid)
{
    static const char text[] = "123e4567-E89B-12d3-a456-426614174000";
    uint8_t bytes[16];
    char out[37];
    cr_assert(weir_text_uuid(text, 36, bytes));
    cr_assert_eq(weir_print_uuid(out, bytes), 36);
    cr_assert_str_eq(out, "123e4567-e89b-12d3-a456-426614174000");
    cr_assert_not(weir_text_uuid(text, 35, bytes));
    cr_assert_not(weir_text_uuid("123e4567xe89b-12d3-a456-426614174000", 36, bytes));
    cr_assert_not(weir_text_uuid("g23e4567-e89b-12d3-a456-426614174000", 36, bytes));
}

Test(text, durations_and_sizes)
{
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } durations[] = {{"30d", 2592000000},
                     {"15m", 900000},
                     {"4s", 4000},
                     {"500ms", 500},
                     {"1h30m", 5400000},
                     {"", -1},
                     {"5", -1},
                     {"1m1m", -1},
                     {"1s1h", -1},
                     {"h", -1},
                     {"-1h", -1},
                     {"1 h", -1},
                     {"999999999999999999w", -1},
                     {"1w", 604800000}},
      sizes[] = {{"64MiB", 64 << 20},
                 {"1GB", 1000000000},
                 {"512", 512},
                 {"1.5 KiB", 1536},
                 {"0", 0},
                 {"", -1},
                 {"KiB", -1},
                 {"1.5", -1},
                 {"-1", -1},
                 {"1XB", -1},
                 {"99999999999999999999TiB", -1}};
    for (size_t i = 0; i < COUNT(durations); i++) {
        int64_t value = -1;
        cr_assert_eq(weir_text_duration_ms(durations[i].text, strlen(durations[i].text), &value),
                     durations[i].value >= 0, "%s", durations[i].text);
        cr_assert_eq(value, durations[i].value, "%s", durations[i].text);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        uint64_t value = (uint64_t)-1;
        cr_assert_eq(weir_text_size(sizes[i].text, strlen(sizes[i].text), &value),
                     sizes[i].value >= 0, "%s", sizes[i].text);
        cr_assert_eq(value, (uint64_t)sizes[i].value, "%s", sizes[i].text);
    }
    char out[32];
    weir_print_size(out, 1536);
    cr_assert_str_eq(out, "1.5 KiB");
    weir_print_size(out, UINT64_MAX);
    cr_assert_str_eq(out, "16 EiB");
}

Test(text, base64)
{
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    uint8_t out[32];
    char text[32];
    size_t size;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t text_size = strlen(cases[i].text), padding = 0;
        cr_assert_eq(weir_base64_encode(text, cases[i].plain, strlen(cases[i].plain)), text_size);
        cr_assert_eq(weir_base64_size(strlen(cases[i].plain)), text_size);
        cr_assert_eq(memcmp(text, cases[i].text, text_size), 0);
        while (text_size > padding && cases[i].text[text_size - 1 - padding] == '=')
            padding++;
        for (int bare = 0; bare < 2; bare++) { /* padded, and without */
            cr_assert(
                weir_base64_decode(cases[i].text, text_size - (bare ? padding : 0), out, &size));
            cr_assert_eq(size, strlen(cases[i].plain));
            cr_assert_eq(memcmp(out, cases[i].plain, size), 0);
        }
    }
    static const char *const bad[] = {"Z", "Zg=",   "Zh==",   "Zm9=", "Zm9v====", "====",
                                      "=", "Zm 9v", "Zm9v\n", "Zm-_", "Z===",     "Zm8=Zm8="};
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_not(weir_base64_decode(bad[i], strlen(bad[i]), out, &size), "%s", bad[i]);
}

Test(text, hex)
{
    char out[7];
    weir_print_hex(out, "\x00\xAF\x10", 3);
    cr_assert_str_eq(out, "00af10");
}

Test(text, utf8)
{
    static const struct {
        const char *text;
        size_t size, invalid;
    } cases[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"Z\xC3\xBCrich", 7, 7},
        {"\xE6\x9D\xB1\xE4\xBA\xAC", 6, 6},
        {"\xF0\x9F\x9A\x80", 4, 4},
        {"a\x80", 2, 1},
        {"\xC0\xAF", 2, 0},
        {"\xC1\xBF", 2, 0},
        {"\xE0\x80\x80", 3, 0},
        {"\xE0\x9F\xBF", 3, 0},
        {"\xED\xA0\x80", 3, 0},
        {"\xED\x9F\xBF", 3, 3},
        {"\xEF\xBF\xBF", 3, 3},
        {"\xF0\x8F\xBF\xBF", 4, 0},
        {"\xF4\x8F\xBF\xBF", 4, 4},
        {"\xF4\x90\x80\x80", 4, 0},
        {"\xF5\x80\x80\x80", 4, 0},
        {"\xC3", 1, 0},
        {"ab\xE6\x9D", 4, 2},
        {"\xF0\x9F\x9A", 3, 0},
        {"\xFF", 1, 0},
        {"\xC3(", 2, 0},
        {"a\0b", 3, 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        /* at every place of a longer text, so that blocks and their seams are met */
        for (size_t before = 0; before < 70; before++) {
            uint8_t text[80];
            memset(text, 'x', sizeof text);
            memcpy(text + before, cases[i].text, cases[i].size);
            cr_assert_eq(weir_utf8_invalid(text, before + cases[i].size), before + cases[i].invalid,
                         "case %zu at %zu", i, before);
        }
    }
}

Test(text, distance)
{
    cr_assert_eq(weir_text_distance("", ""), 0);
    cr_assert_eq(weir_text_distance("abc", ""), 3);
    cr_assert_eq(weir_text_distance("topic", "tpoic"), 1);
    cr_assert_eq(weir_text_distance("kitten", "sitting"), 3);
    cr_assert_eq(weir_text_distance("same", "same"), 0);
    static char a[1000], b[300];
    memset(a, 'a', sizeof a - 1);
    memset(b, 'a', sizeof b - 1);
    cr_assert_eq(weir_text_distance(a, b), 744);
}
