/* The hostile shape: the inventory's columns, written as no sane sender would and yet good JSON;
 * and, when asked for bad records, one way after another of not being JSON, not being UTF-8, not
 * being of the declared types. */
#include "tools/gen/record.h"

enum { STREAM_HOSTILE = 32 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void put_space(struct gen_text *text, struct gen_draw *draw)
{
    static const char *const spaces[] = {"", "", "", "", " ", "\t", "\r", " \t\r  "};
    gen_put_text(text, spaces[gen_below(draw, COUNT(spaces))]);
}

/* A name or a word of plain ASCII, some of its letters as \u escapes. */
static void put_word(struct gen_text *text, const char *word, struct gen_draw *draw)
{
    GEN_PUT(text, "\"");
    uint64_t escaped = gen_below(draw, 8) == 0 ? gen_next(draw) : 0;
    for (; *word != '\0'; word++, escaped >>= 1) {
        if ((escaped & 1) == 0) {
            gen_put(text, word, 1);
            continue;
        }
        const char *digits = escaped & 2 ? "0123456789abcdef" : "0123456789ABCDEF";
        char out[6] = {'\\', 'u', '0', '0', digits[(unsigned char)*word >> 4], digits[*word & 15]};
        gen_put(text, out, sizeof out);
    }
    GEN_PUT(text, "\"");
}

static void put_name(struct gen_text *text, const char *name, struct gen_draw *draw)
{
    put_space(text, draw);
    put_word(text, name, draw);
    put_space(text, draw);
    GEN_PUT(text, ":");
    put_space(text, draw);
}

static void put_choice(struct gen_text *text, const char *const *choices, size_t count,
                       struct gen_draw *draw)
{
    gen_put_text(text, choices[gen_below(draw, (uint32_t)count)]);
}

static const char *const strings[] = {
    "null",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\ud83d\\ude00\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "\"\xef\xbf\xbf\"",
    "\"\\uffff\"",
    "\"\\uFEFFbom\"",
    "\"\xe2\x80\xa8\xe2\x80\xa9\"",
    "\"\x7f\"",
    "\"{\\\"site\\\":1}\"",
};
static const char *const ints[] = {"null",        "0",       "-0",       "2147483647",
                                   "-2147483648", "22621.0", "2.2621e4", "226210e-1",
                                   "1E3",         "1e+3",    "0.0e99"};
static const char *const longs[] = {"9223372036854775807",
                                    "-9223372036854775808",
                                    "9007199254740993",
                                    "9223372036854775807.000",
                                    "1e18",
                                    "0",
                                    "null",
                                    "0.9007199254740993E16"};
static const char *const doubles[] = {
    "0.1",
    "-0.0",
    "5e-324",
    "2.2250738585072011e-308",
    "1.7976931348623157e308",
    "9007199254740993",
    "0.1000000000000000055511151231257827021181583404541015625",
    "3.14159265358979323846264338327950288",
    "1e-400",
    "123456789012345678901234567890",
    "99.995",
    "8.41e21",
    "null",
    "7.2057594037927933e16",
};
static const char *const times[] = {
    "\"1970-01-01T00:00:00Z\"",         "\"2026-01-05T00:00:00.000001Z\"",
    "\"2026-01-05T12:00:00+14:00\"",    "\"2026-01-05T12:00:00-12:00\"",
    "\"2024-02-29T23:59:59.999999Z\"",  "\"2100-03-01T00:00:00.5Z\"",
    "\"2026-01-05T05:30:00.123+05:30\""};
static const char *const unknowns[] = {
    "\"zz\":{\"record_id\":null,\"os\":[[[{\"name\":1e999}]]]}",
    "\"\":0",
    "\"record\\u005fidx\":\"x\"",
    "\"zz\":[]",
    "\"zz\":{}",
    "\"Site\":7",
    "\"os.name\":false",
    "\"zz\":123456789012345678901234567890123456789012345678901234567890e-12345",
};

static void put_member(struct gen_text *text, unsigned which, const struct gen_options *options,
                       uint64_t index, struct gen_draw *draw)
{
    switch (which) {
    case 0:
        put_name(text, "record_id", draw);
        GEN_PUT(text, "\"");
        gen_put_uuid(text, draw);
        GEN_PUT(text, "\"");
        break;
    case 1:
        put_name(text, "tenant_id", draw);
        put_word(text, gen_below(draw, 2) ? "tenant-01" : "tenant-02", draw);
        break;
    case 2:
        put_name(text, "device_id", draw);
        GEN_PUT(text, "\"dev-");
        gen_put_padded(text, gen_device(options, index), 6);
        GEN_PUT(text, "\"");
        break;
    case 3:
        put_name(text, "collected_at", draw);
        put_choice(text, times, COUNT(times), draw);
        break;
    case 4:
        put_name(text, "site", draw);
        put_choice(text, strings, COUNT(strings), draw);
        break;
    case 5:
        put_name(text, "hostname", draw);
        put_choice(text, strings, COUNT(strings), draw);
        break;
    }
}

static void put_nested(struct gen_text *text, unsigned which, struct gen_draw *draw)
{
    bool absent = gen_below(draw, 8) == 0;
    switch (which) {
    case 6:
        put_name(text, "os", draw);
        gen_put_text(text, absent ? "null" : "{\"build\": ");
        if (absent)
            break;
        put_choice(text, ints, COUNT(ints), draw);
        GEN_PUT(text, ",\"name\":");
        put_choice(text, strings, COUNT(strings), draw);
        GEN_PUT(text, "}");
        break;
    case 7:
        put_name(text, "cpu", draw);
        gen_put_text(text, absent ? "{}" : "{\"usage_pct\":");
        if (absent)
            break;
        put_choice(text, doubles, COUNT(doubles), draw);
        GEN_PUT(text, "\t}");
        break;
    case 8:
        put_name(text, "memory", draw);
        GEN_PUT(text, "{\"used_mb\":");
        put_choice(text, longs, COUNT(longs), draw);
        GEN_PUT(text, ",\"total_mb\":");
        put_choice(text, longs, COUNT(longs), draw);
        GEN_PUT(text, "}");
        break;
    case 9:
        put_name(text, "disks", draw);
        gen_put_text(text, absent ? "[ ]"
                                  : "[null,{\"mount\":null,\"encrypted\":false},{},{\"total_gb\":");
        if (absent)
            break;
        put_choice(text, doubles, COUNT(doubles), draw);
        GEN_PUT(text, "}]");
        break;
    }
}

static void put_tags(struct gen_text *text, struct gen_draw *draw)
{
    put_name(text, "tags", draw);
    unsigned count = gen_below(draw, 40) == 0 ? 500 : gen_below(draw, 4);
    GEN_PUT(text, "{");
    for (unsigned i = 0; i < count; i++) {
        gen_put_text(text, i > 0 ? ",\"" : "\"");
        if (i > 0) /* an empty key is a key */
            gen_put_uint(text, i);
        GEN_PUT(text, "\":");
        put_choice(text, strings, COUNT(strings), draw);
    }
    GEN_PUT(text, "}");
}

/* A string of tens of kilobytes, so that it outgrows what a decoder keeps at hand. */
static void put_agent(struct gen_text *text, struct gen_draw *draw)
{
    put_name(text, "agent_version", draw);
    unsigned repeats = gen_below(draw, 200) == 0 ? 4000 : gen_below(draw, 3);
    GEN_PUT(text, "\"");
    for (unsigned i = 0; i < repeats; i++)
        GEN_PUT(text, "7.1\xc3\xa9\\u00e9");
    GEN_PUT(text, "\"");
}

static void put_good(const struct gen_options *options, uint64_t index, struct gen_text *text,
                     struct gen_draw *draw)
{
    unsigned char order[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    for (unsigned i = COUNT(order) - 1; i > 0; i--) {
        unsigned other = gen_below(draw, i + 1);
        unsigned char kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    put_space(text, draw);
    GEN_PUT(text, "{");
    /* Members said twice: the last one counts. */
    if (gen_below(draw, 4) == 0)
        GEN_PUT(text, "\"site\":\"first\",\"site\":\"second\",\"os\":{\"name\":\"lost\","
                      "\"version\":\"lost\"},\"tags\":{\"lost\":\"1\"},");
    for (unsigned i = 0; i < COUNT(order); i++) {
        if (i > 0)
            GEN_PUT(text, ",");
        if (gen_below(draw, 12) == 0) {
            put_choice(text, unknowns, COUNT(unknowns), draw);
            GEN_PUT(text, ",");
        }
        if (order[i] < 6)
            put_member(text, order[i], options, index, draw);
        else if (order[i] < 10)
            put_nested(text, order[i], draw);
        else if (order[i] == 10)
            put_tags(text, draw);
        else
            put_agent(text, draw);
    }
    put_space(text, draw);
    GEN_PUT(text, "}");
    put_space(text, draw);
}

/* What follows a good beginning `{"record_id":...,"collected_at":"..."`. */
#define TAIL(reason, text)                                                                         \
    {                                                                                              \
        reason, text, sizeof(text) - 1                                                             \
    }
static const struct tail {
    const char *reason, *text;
    size_t size;
} tails[] = {
    TAIL("syntax", ""),
    TAIL("syntax", ",}"),
    TAIL("syntax", "}}"),
    TAIL("syntax", "} {}"),
    TAIL("syntax", "]"),
    TAIL("syntax", ",'site':1}"),
    TAIL("syntax", ",\"site\":\"\\x41\"}"),
    TAIL("syntax", ",\"site\":\"a\tb\"}"),
    TAIL("syntax", ",\"site\":\"a\0b\"}"),
    TAIL("syntax", "\0}"),
    TAIL("syntax", ",\"site\":\"unclosed}"),
    TAIL("syntax", ",\"site\" \"x\"}"),
    TAIL("syntax", ",\"site\":}"),
    TAIL("syntax", ",\"site\":\"\\u12g4\"}"),
    TAIL("syntax", ",\"zz\":01}"),
    TAIL("syntax", ",\"zz\":+1}"),
    TAIL("syntax", ",\"zz\":1.}"),
    TAIL("syntax", ",\"zz\":.5}"),
    TAIL("syntax", ",\"zz\":1e}"),
    TAIL("syntax", ",\"zz\":NaN}"),
    TAIL("syntax", ",\"zz\":-Infinity}"),
    TAIL("syntax", ",\"zz\":nul}"),
    TAIL("syntax", ",\"zz\":True}"),
    TAIL("syntax", ",zz:1}"),
    TAIL("syntax", ",\"zz\":[1,]}"),
    TAIL("syntax", ",\"zz\":[1 2]}"),
    TAIL("syntax", ",\"zz\":{\"a\":1]}"),
    TAIL("syntax", " /* no */}"),
    TAIL("syntax", ",,}"),
    TAIL("syntax|encoding", ",\"site\":\"\\ud800\"}"),
    TAIL("syntax|encoding", ",\"site\":\"\\udc00\\ud800\"}"),
    TAIL("encoding", ",\"site\":\"\xff\"}"),
    TAIL("encoding", ",\"site\":\"\xc0\x80\"}"),
    TAIL("encoding", ",\"site\":\"\xed\xa0\x80\"}"),
    TAIL("encoding", ",\"site\":\"\xf4\x90\x80\x80\"}"),
    TAIL("encoding", ",\"site\":\"\xe2\x82\"}"),
    TAIL("encoding", ",\"zz\":\"\xfe\"}"),
    TAIL("encoding", ",\"\x80\":1}"),
    TAIL("type", ",\"site\":7}"),
    TAIL("type", ",\"site\":[]}"),
    TAIL("type", ",\"os\":\"Debian\"}"),
    TAIL("type", ",\"os\":{\"build\":\"12\"}}"),
    TAIL("type", ",\"os\":{\"build\":true}}"),
    TAIL("type|range", ",\"os\":{\"build\":1.5}}"),
    TAIL("range", ",\"os\":{\"build\":2147483648}}"),
    TAIL("range", ",\"os\":{\"build\":-2147483649}}"),
    TAIL("range", ",\"memory\":{\"used_mb\":9223372036854775808}}"),
    TAIL("range", ",\"memory\":{\"used_mb\":1e19}}"),
    TAIL("type", ",\"disks\":{}}"),
    TAIL("type", ",\"disks\":[{\"encrypted\":0}]}"),
    TAIL("type", ",\"disks\":[7]}"),
    TAIL("type", ",\"tags\":[]}"),
    TAIL("type", ",\"tags\":{\"a\":1}}"),
    TAIL("range", ",\"cpu\":{\"usage_pct\":1e999}}"),
    TAIL("required", ",\"tenant_id\":null}"),
    TAIL("required", ",\"collected_at\":null}"),
    TAIL("type", ",\"collected_at\":1767571200}"),
    TAIL("type|range", ",\"collected_at\":\"2026-01-05T00:00:00\"}"),
    TAIL("type|range", ",\"collected_at\":\"2026-13-05T00:00:00Z\"}"),
    TAIL("type|range", ",\"collected_at\":\"\"}"),
};
static const struct tail wholes[] = {
    TAIL("empty", ""),
    TAIL("empty", " \t "),
    TAIL("type", "[]"),
    TAIL("type", "[{\"record_id\":\"x\"}]"),
    TAIL("type", "7"),
    TAIL("type", "\"text\""),
    TAIL("type", "null"),
    TAIL("required", "{}"),
    TAIL("syntax", "{"),
    TAIL("syntax", "}"),
    TAIL("syntax", "\0"),
    TAIL("syntax", "record"),
    TAIL("syntax", "\xef\xbb\xbf{}"),
    TAIL("syntax|encoding", "\xff\xfe{\0}\0"),
};

static const char *put_bad(uint64_t index, struct gen_text *text, struct gen_draw *draw)
{
    uint32_t which = gen_below(draw, COUNT(tails) + COUNT(wholes) + 1);
    if (which < COUNT(wholes)) {
        gen_put(text, wholes[which].text, wholes[which].size);
        return wholes[which].reason;
    }
    GEN_PUT(text, "{\"record_id\":\"bad-");
    gen_put_uint(text, index);
    GEN_PUT(text, "\",\"tenant_id\":\"tenant-01\",\"device_id\":\"dev-000000\",\"collected_at\":"
                  "\"2026-01-05T00:00:00Z\"");
    if (which < COUNT(tails) + COUNT(wholes)) {
        const struct tail *tail = &tails[which - COUNT(wholes)];
        gen_put(text, tail->text, tail->size);
        return tail->reason;
    }
    GEN_PUT(text, ",\"zz\":");
    for (unsigned i = 0; i < 300; i++)
        gen_put_text(text, i & 1 ? "{\"a\":" : "[");
    GEN_PUT(text, "1");
    for (unsigned i = 300; i-- > 0;)
        gen_put_text(text, i & 1 ? "}" : "]");
    GEN_PUT(text, "}");
    return "depth";
}

const char *gen_hostile(const struct gen_options *options, uint64_t index, bool bad,
                        struct gen_text *text)
{
    struct gen_draw draw = gen_draw_at(options->seed, STREAM_HOSTILE, index);
    if (bad)
        return put_bad(index, text, &draw);
    put_good(options, index, text, &draw);
    return NULL;
}
