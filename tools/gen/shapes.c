/* The flat shape: one column of each scalar type. The wide shape: two hundred columns, many of them
 * missing. */
#include "tools/gen/record.h"

enum { STREAM_FLAT = 24, STREAM_WIDE = 25 };

static void put_base64(struct gen_text *text, uint64_t bits, unsigned size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)(bits & 0xFFFFFF);
        unsigned have = size - i < 3 ? size - i : 3;
        group &= have == 3 ? 0xFFFFFF : have == 2 ? 0xFFFF00 : 0xFF0000;
        char out[4] = {letters[group >> 18], letters[group >> 12 & 63], letters[group >> 6 & 63],
                       letters[group & 63]};
        for (unsigned pad = have + 1; pad < 4; pad++)
            out[pad] = '=';
        gen_put(text, out, 4);
        bits >>= 11;
    }
}

static void put_flat_numbers(const struct gen_options *options, uint64_t index,
                             enum gen_fault fault, struct gen_draw *draw, struct gen_text *text)
{
    if (fault == GEN_REQUIRED) {
        GEN_PUT(text, "{\"id\":null");
    } else {
        GEN_PUT(text, "{\"id\":");
        gen_put_uint(text, index);
    }
    GEN_PUT(text, ",\"device_id\":\"dev-");
    gen_put_padded(text, gen_device(options, index), 6);
    gen_put_text(text, gen_below(draw, 2) ? "\",\"active\":true,\"count\":"
                                          : "\",\"active\":false,\"count\":");
    if (fault == GEN_TYPE)
        GEN_PUT(text, "\"7\"");
    else
        gen_put_int(text, (int64_t)(int32_t)gen_next(draw));
    GEN_PUT(text, ",\"total\":");
    gen_put_int(text, (int64_t)gen_next(draw));
    GEN_PUT(text, ",\"ratio\":");
    gen_put_scaled(text, gen_below(draw, 1000000), 4);
    GEN_PUT(text, ",\"price\":");
    gen_put_text(text, gen_below(draw, 2) ? "-" : "");
    gen_put_scaled(text, gen_next(draw) >> 20, 7);
    GEN_PUT(text, "e-3,\"amount\":");
    gen_put_text(text, gen_below(draw, 2) ? "-" : "");
    gen_put_scaled(text, gen_next(draw) % 1000000000000ull, 2);
}

void gen_flat(const struct gen_options *options, uint64_t index, enum gen_fault fault,
              struct gen_text *text)
{
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_FLAT, index);
    put_flat_numbers(options, index, fault, &draw, text);
    int64_t time = gen_record_time(options, index, &draw);
    GEN_PUT(text, ",\"day\":\"");
    if (fault == GEN_RANGE)
        GEN_PUT(text, "2025-02-29");
    else
        gen_put_date(text, gen_below(&draw, 40000));
    GEN_PUT(text, "\",\"clock\":\"");
    uint32_t second = gen_below(&draw, 86400);
    gen_put_padded(text, second / 3600, 2);
    GEN_PUT(text, ":");
    gen_put_padded(text, second / 60 % 60, 2);
    GEN_PUT(text, ":");
    gen_put_padded(text, second % 60, 2);
    GEN_PUT(text, ".");
    gen_put_padded(text, gen_below(&draw, 1000000), 6);
    GEN_PUT(text, "\",\"local\":\"");
    gen_put_time(text, time, true, 0);
    text->size--; /* a local time has no Z */
    GEN_PUT(text, "\",\"at\":\"");
    gen_put_time(text, time, true, (int)gen_below(&draw, 3) * 60 - 60);
    GEN_PUT(text, "\",\"uid\":\"");
    gen_put_uuid(text, &draw);
    GEN_PUT(text, "\",\"payload\":\"");
    put_base64(text, gen_next(&draw), gen_below(&draw, 13));
    GEN_PUT(text, "\",\"digest\":\"");
    put_base64(text, gen_next(&draw), 4);
    GEN_PUT(text, "\"}");
}

static void put_wide_value(struct gen_text *text, unsigned column, struct gen_draw *draw)
{
    switch (column & 3) {
    case 0: gen_put_int(text, (int64_t)gen_next(draw) >> 24); break;
    case 1: gen_put_scaled(text, gen_below(draw, 1000000), 3); break;
    case 2:
        GEN_PUT(text, "\"v");
        gen_put_uint(text, gen_below(draw, 500));
        GEN_PUT(text, "\"");
        break;
    default: gen_put_text(text, gen_below(draw, 2) ? "true" : "false"); break;
    }
}

void gen_wide(const struct gen_options *options, uint64_t index, enum gen_fault fault,
              struct gen_text *text)
{
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_WIDE, index);
    GEN_PUT(text, "{\"id\":");
    if (fault == GEN_REQUIRED)
        GEN_PUT(text, "null");
    else if (fault == GEN_TYPE)
        GEN_PUT(text, "[1]");
    else if (fault == GEN_RANGE)
        GEN_PUT(text, "9223372036854775808");
    else
        gen_put_uint(text, index);
    for (unsigned column = 0; column < 200; column++) {
        uint32_t presence = gen_below(&draw, 10);
        if (presence < 2) /* missing */
            continue;
        GEN_PUT(text, ",\"c");
        gen_put_padded(text, column, 3);
        GEN_PUT(text, "\":");
        if (presence < 4)
            GEN_PUT(text, "null");
        else
            put_wide_value(text, column, &draw);
    }
    GEN_PUT(text, "}");
}
