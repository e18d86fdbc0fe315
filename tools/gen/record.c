/* Which record index i is (good, bad, late, a repetition, a tombstone), the text primitives, and
 * the faults that every shape can have. The shapes themselves: inventory.c, shapes.c, hostile.c. */
#include "tools/gen/record.h"

enum { STREAM_KIND = 1, STREAM_FAULT = 2, STREAM_REPEAT = 3, STREAM_DEVICE = 4 };

static const char *fault_reason[GEN_FAULTS] = {NULL,         "required", "type",
                                               "range|type", "syntax",   "syntax"};

void gen_put_uint(struct gen_text *text, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    gen_put(text, digits + at, sizeof digits - at);
}

void gen_put_int(struct gen_text *text, int64_t value)
{
    if (value < 0)
        GEN_PUT(text, "-");
    gen_put_uint(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void gen_put_padded(struct gen_text *text, uint64_t value, unsigned digits)
{
    char out[20];
    for (unsigned i = digits; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    gen_put(text, out, digits);
}

void gen_put_scaled(struct gen_text *text, uint64_t value, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    gen_put_uint(text, value / unit);
    GEN_PUT(text, ".");
    gen_put_padded(text, value % unit, decimals);
}

static void put_hex(struct gen_text *text, uint64_t value, unsigned digits)
{
    char out[16];
    for (unsigned i = digits; i-- > 0; value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
    gen_put(text, out, digits);
}

void gen_put_uuid(struct gen_text *text, struct gen_draw *draw)
{
    uint64_t high = (gen_next(draw) & ~0xF000ull) | 0x4000,
             low = (gen_next(draw) >> 2) | 1ull << 63;
    put_hex(text, high >> 32, 8);
    GEN_PUT(text, "-");
    put_hex(text, high >> 16, 4);
    GEN_PUT(text, "-");
    put_hex(text, high, 4);
    GEN_PUT(text, "-");
    put_hex(text, low >> 48, 4);
    GEN_PUT(text, "-");
    put_hex(text, low, 12);
}

/* Walks years and months: the dates made here lie within some centuries of 1970, and most of them
 * in one week. */
static void civil(int64_t days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    static const unsigned char lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year = 1970, month = 0;
    if (days >= 20454) { /* 2026-01-01 */
        days -= 20454;
        year = 2026;
    }
    for (;;) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (days < 365 + leap)
            break;
        days -= 365 + leap;
        year++;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (;; month++) {
        int length = lengths[month] + (month == 1 && leap);
        if (days < length)
            break;
        days -= length;
    }
    *ret_year = year;
    *ret_month = month + 1;
    *ret_day = (unsigned)days + 1;
}

void gen_put_date(struct gen_text *text, int64_t days)
{
    unsigned year, month, day;
    civil(days, &year, &month, &day);
    gen_put_padded(text, year, 4);
    GEN_PUT(text, "-");
    gen_put_padded(text, month, 2);
    GEN_PUT(text, "-");
    gen_put_padded(text, day, 2);
}

void gen_put_time(struct gen_text *text, int64_t milliseconds, bool fraction, int offset_minutes)
{
    int64_t local = milliseconds + (int64_t)offset_minutes * 60000, second = local / 1000 % 86400;
    gen_put_date(text, local / 86400000);
    GEN_PUT(text, "T");
    gen_put_padded(text, (uint64_t)second / 3600, 2);
    GEN_PUT(text, ":");
    gen_put_padded(text, (uint64_t)second / 60 % 60, 2);
    GEN_PUT(text, ":");
    gen_put_padded(text, (uint64_t)second % 60, 2);
    if (fraction) {
        GEN_PUT(text, ".");
        gen_put_padded(text, (uint64_t)(local % 1000), 3);
    }
    if (offset_minutes == 0) {
        GEN_PUT(text, "Z");
        return;
    }
    unsigned minutes = (unsigned)(offset_minutes < 0 ? -offset_minutes : offset_minutes);
    gen_put_text(text, offset_minutes < 0 ? "-" : "+");
    gen_put_padded(text, minutes / 60, 2);
    GEN_PUT(text, ":");
    gen_put_padded(text, minutes % 60, 2);
}

/* What an index is drawn to be; one number serves all, sixteen bits each. */
struct kind {
    bool bad, late, duplicate, tombstone;
};

static struct kind kind_of(const struct gen_options *options, uint64_t index)
{
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_KIND, index);
    uint64_t bits = gen_next(&draw);
    return (struct kind){
        .bad = (bits & 0xFFFF) * 1000 >> 16 < options->bad,
        .late = (bits >> 16 & 0xFFFF) * 1000 >> 16 < options->late,
        .duplicate = (bits >> 32 & 0xFFFF) * 1000 >> 16 < options->duplicates,
        .tombstone = (bits >> 48) * 1000 >> 16 < options->tombstones,
    };
}

/* A repetition is of a record up to 997 back: near enough to meet its twin in one window, or to
 * miss it by one. */
static uint64_t origin_of(const struct gen_options *options, uint64_t index)
{
    for (;;) {
        if (!kind_of(options, index).duplicate)
            return index;
        struct gen_draw draw = gen_draw_at(options->seed, STREAM_REPEAT, index);
        uint64_t distance = 1 + gen_below(&draw, 997);
        if (distance > index)
            return index;
        index -= distance;
    }
}

int64_t gen_record_time(const struct gen_options *options, uint64_t index, struct gen_draw *draw)
{
    const int64_t start = 1767571200000; /* 2026-01-05T00:00:00Z, a Monday */
    int64_t time = start + (int64_t)(index * 600 % (1000ull * 86400000)) + gen_below(draw, 60000);
    uint32_t back = gen_below(draw, 71 * 3600);
    if (kind_of(options, index).late)
        time -= (int64_t)(3600 + back) * 1000;
    return time;
}

uint32_t gen_device(const struct gen_options *options, uint64_t index)
{
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_DEVICE, index);
    return gen_below(&draw, GEN_DEVICES);
}

/* Cut off inside the object, at a character's border: a broken character would be another fault. */
static void cut(struct gen_text *text, size_t start, struct gen_draw *draw)
{
    size_t whole = text->size - start,
           keep = whole / 4 + gen_below(draw, (uint32_t)(whole / 2) + 1);
    while (keep > 1 && ((unsigned char)text->data[start + keep] & 0xC0) == 0x80)
        keep--;
    text->size = start + keep;
}

static const char *make_value(const struct gen_options *options, uint64_t index,
                              struct gen_text *text)
{
    bool bad = kind_of(options, index).bad;
    if (options->shape == GEN_HOSTILE)
        return gen_hostile(options, index, bad, text);
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_FAULT, index);
    enum gen_fault fault = bad ? (enum gen_fault)(1 + gen_below(&draw, GEN_FAULTS - 1)) : GEN_GOOD;
    size_t start = text->size;
    switch (options->shape) {
    case GEN_FLAT: gen_flat(options, index, fault, text); break;
    case GEN_WIDE: gen_wide(options, index, fault, text); break;
    default: gen_inventory(options, index, fault, text); break;
    }
    if (fault == GEN_CUT)
        cut(text, start, &draw);
    if (fault == GEN_BRACKET)
        text->data[text->size - 1] = ']';
    return fault_reason[fault];
}

void gen_record_make(const struct gen_options *options, uint64_t index, struct gen_text *text,
                     struct gen_record *ret_record)
{
    uint64_t origin = origin_of(options, index);
    struct gen_record record = {.origin = origin, .tombstone = kind_of(options, origin).tombstone};
    struct gen_text key = {record.key, 0, sizeof record.key - 1, false};
    GEN_PUT(&key, "dev-");
    gen_put_padded(&key, gen_device(options, origin), 6);
    size_t start = text->size;
    if (!record.tombstone)
        record.reason = make_value(options, origin, text);
    record.value = text->data + start;
    record.size = text->size - start;
    *ret_record = record;
}
