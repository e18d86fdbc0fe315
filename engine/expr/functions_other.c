/* More functions of text: letters, encodings, parts; hashes (MD5 by RFC 1321, SHA-256 by FIPS
 * 180-4), uuids, types' names. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <string.h>

#include <sys/random.h>

static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

/* Bytes of the character at `at`. */
static size_t next_size(struct weir_bytes text, size_t at)
{
    size_t size = 1;
    while (at + size < text.size && (text.data[at + size] & 0xC0) == 0x80)
        size++;
    return size;
}

/* One row's text; *failed: why the row has none. */
typedef weir_status (*make_text)(struct weir_buffer *out, const struct weir_node *call,
                                 const struct weir_lane *lanes, uint32_t row, const char **failed,
                                 struct weir_error *reterr);

static weir_status by_row(struct weir_evaluation *evaluation, const struct weir_node *call,
                          const struct weir_vector *arguments, struct weir_vector *ret,
                          make_text make, struct weir_error *reterr)
{
    struct text_writer writer;
    struct weir_lane *lanes;
    WEIR_TRY(weir_arena_zero(evaluation->arena, call->argument_count + 1, sizeof *lanes, &lanes,
                             reterr));
    for (uint32_t i = 0; i < call->argument_count; i++)
        lanes[i] = weir_lane_of(&arguments[i]);
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        const char *failed = NULL;
        if (row_valid(ret, i))
            status = make(&writer.buffer, call, lanes, i, &failed, reterr);
        if (status == WEIR_OK && failed)
            status = weir_evaluation_fail(evaluation, call, i, reterr, "%s: %s",
                                          call->function->name, failed);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- binding ---- */

static weir_status all_text(struct weir_arena *arena, struct weir_node *call,
                            enum weir_type_id result, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = result};
    return WEIR_OK;
}
static weir_status text_to_text(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    return all_text(arena, call, WEIR_STRING, reterr);
}
static weir_status text_to_long(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    return all_text(arena, call, WEIR_LONG, reterr);
}
static weir_status long_to_text(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(bind_as(arena, call, 0, WEIR_LONG, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}

/* text or binary */
static weir_status bytes_to_text(struct weir_arena *arena, struct weir_node *call,
                                 struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_BINARY)
        WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    if (call->argument_count == 2)
        WEIR_TRY(bind_as(arena, call, 1, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}
static weir_status text_to_binary(struct weir_arena *arena, struct weir_node *call,
                                  struct weir_error *reterr)
{
    return all_text(arena, call, WEIR_BINARY, reterr);
}

static weir_status list_of_text(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    struct weir_field *element;
    WEIR_TRY(all_text(arena, call, WEIR_STRING, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *element, &element, reterr));
    *element = (struct weir_field){.name = "element", .type = {.id = WEIR_STRING}};
    call->type = (struct weir_type){.id = WEIR_LIST, .child_count = 1, .children = element};
    return WEIR_OK;
}

/* ---- letters ---- */

static weir_status make_initcap(struct weir_buffer *out, const struct weir_node *call,
                                const struct weir_lane *lanes, uint32_t row, const char **failed,
                                struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row);
    bool inside = false;
    WEIR_TRY(weir_buffer_reserve(out, text.size + 1, reterr));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        bool letter = byte >= 0x80 || isalnum(byte);
        out->data[out->size++] = (uint8_t)(byte >= 0x80 ? byte
                                           : inside     ? tolower(byte)
                                                        : toupper(byte));
        inside = letter;
    }
    return WEIR_OK;
}

static weir_status make_chr(struct weir_buffer *out, const struct weir_node *call,
                            const struct weir_lane *lanes, uint32_t row, const char **failed,
                            struct weir_error *reterr)
{
    int64_t code = ((const int64_t *)lanes[0].flat->values)[weir_lane(&lanes[0], row)];
    uint8_t bytes[4];
    size_t size = 0;
    if (code <= 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        *failed = "no such character";
        return WEIR_OK;
    }
    uint32_t c = (uint32_t)code;
    if (c < 0x80) {
        bytes[size++] = (uint8_t)c;
    } else {
        int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
        static const uint8_t heads[] = {0, 0xC0, 0xE0, 0xF0};
        bytes[size++] = (uint8_t)(heads[more] | c >> (6 * more));
        while (more--)
            bytes[size++] = (uint8_t)(0x80 | (c >> (6 * more) & 0x3F));
    }
    return weir_buffer_append(out, bytes, size, reterr);
}

/* Code point of the first character; 0 of an empty text. */
static int64_t first_code(struct weir_bytes text)
{
    if (!text.size)
        return 0;
    uint8_t byte = text.data[0];
    size_t size = next_size(text, 0);
    int64_t code = byte < 0x80   ? byte
                   : byte < 0xE0 ? byte & 0x1F
                   : byte < 0xF0 ? byte & 0xF
                                 : byte & 7;
    for (size_t i = 1; i < size && i < 4; i++)
        code = code << 6 | (text.data[i] & 0x3F);
    return code;
}

static weir_status make_translate(struct weir_buffer *out, const struct weir_node *call,
                                  const struct weir_lane *lanes, uint32_t row, const char **failed,
                                  struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row),
                      from = weir_lane_bytes(&lanes[1], row), to = weir_lane_bytes(&lanes[2], row);
    for (size_t i = 0, size; i < text.size; i += size) {
        size_t f = 0, t = 0;
        size = next_size(text, i);
        while (f < from.size &&
               (next_size(from, f) != size || memcmp(from.data + f, text.data + i, size) != 0)) {
            f += next_size(from, f);
            t += t < to.size ? next_size(to, t) : 0;
        }
        if (f >= from.size)
            WEIR_TRY(weir_buffer_append(out, text.data + i, size, reterr));
        else if (t < to.size)
            WEIR_TRY(weir_buffer_append(out, to.data + t, next_size(to, t), reterr));
    }
    return WEIR_OK;
}

static weir_status make_to_hex(struct weir_buffer *out, const struct weir_node *call,
                               const struct weir_lane *lanes, uint32_t row, const char **failed,
                               struct weir_error *reterr)
{
    int64_t value = ((const int64_t *)lanes[0].flat->values)[weir_lane(&lanes[0], row)];
    return weir_buffer_print(out, reterr, "%llx", (unsigned long long)value);
}

static weir_status make_concat_ws(struct weir_buffer *out, const struct weir_node *call,
                                  const struct weir_lane *lanes, uint32_t row, const char **failed,
                                  struct weir_error *reterr)
{
    struct weir_bytes by = weir_lane_bytes(&lanes[0], row);
    bool first = true;
    for (uint32_t i = 1; i < call->argument_count; i++) {
        if (!weir_lane_valid(&lanes[i], row))
            continue;
        struct weir_bytes part = weir_lane_bytes(&lanes[i], row);
        if (!first)
            WEIR_TRY(weir_buffer_append(out, by.data, by.size, reterr));
        WEIR_TRY(weir_buffer_append(out, part.data, part.size, reterr));
        first = false;
    }
    return WEIR_OK;
}

static weir_status bind_concat_ws(struct weir_arena *arena, struct weir_node *call,
                                  struct weir_error *reterr)
{
    static const struct weir_type string = {.id = WEIR_STRING};
    for (uint32_t i = 0; i < call->argument_count; i++)
        WEIR_TRY(weir_node_cast(arena, call->arguments[i], &string, false, false,
                                &call->arguments[i], reterr));
    call->type = string;
    return WEIR_OK;
}

/* ---- encodings ---- */

static weir_status make_encode(struct weir_buffer *out, const struct weir_node *call,
                               const struct weir_lane *lanes, uint32_t row, const char **failed,
                               struct weir_error *reterr)
{
    struct weir_bytes data = weir_lane_bytes(&lanes[0], row), form = {(const uint8_t *)"base64", 6};
    if (call->argument_count == 2)
        form = weir_lane_bytes(&lanes[1], row);
    else if (call->function->name[0] == 'h')
        form = (struct weir_bytes){(const uint8_t *)"hex", 3};
    if (form.size == 3 && memcmp(form.data, "hex", 3) == 0) {
        WEIR_TRY(weir_buffer_reserve(out, data.size * 2 + 1, reterr));
        weir_print_hex((char *)out->data + out->size, data.data, data.size);
        out->size += data.size * 2;
    } else if (form.size == 6 && memcmp(form.data, "base64", 6) == 0) {
        WEIR_TRY(weir_buffer_reserve(out, weir_base64_size(data.size) + 4, reterr));
        out->size += weir_base64_encode((char *)out->data + out->size, data.data, data.size);
    } else {
        *failed = "the forms are hex and base64";
    }
    return WEIR_OK;
}

static int hex_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

static weir_status put_hex(struct weir_buffer *out, struct weir_bytes text, const char **failed,
                           struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(out, text.size / 2 + 1, reterr));
    if (text.size % 2)
        *failed = "an odd number of hex digits";
    for (size_t i = 0; i + 1 < text.size && !*failed; i += 2) {
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        if (high < 0 || low < 0)
            *failed = "no hex digits";
        else
            out->data[out->size++] = (uint8_t)(high << 4 | low);
    }
    return WEIR_OK;
}

static weir_status make_decode(struct weir_buffer *out, const struct weir_node *call,
                               const struct weir_lane *lanes, uint32_t row, const char **failed,
                               struct weir_error *reterr)
{
    struct weir_bytes text = weir_lane_bytes(&lanes[0], row), form = {(const uint8_t *)"base64", 6};
    if (call->argument_count == 2)
        form = weir_lane_bytes(&lanes[1], row);
    else if (call->function->name[0] == 'u')
        form = (struct weir_bytes){(const uint8_t *)"hex", 3};
    if (form.size == 3 && memcmp(form.data, "hex", 3) == 0)
        return put_hex(out, text, failed, reterr);
    if (form.size != 6 || memcmp(form.data, "base64", 6) != 0) {
        *failed = "the forms are hex and base64";
        return WEIR_OK;
    }
    size_t size;
    WEIR_TRY(weir_buffer_reserve(out, text.size / 4 * 3 + 8, reterr));
    if (weir_base64_decode((const char *)text.data, text.size, out->data + out->size, &size))
        out->size += size;
    else
        *failed = "no base64";
    return WEIR_OK;
}

/* ---- MD5, SHA-256 ---- */

static uint32_t left(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}
static uint32_t right(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

static void md5_block(uint32_t state[4], const uint8_t *block)
{
    static const uint8_t shifts[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};
    static const uint32_t sines[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
        0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
        0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
        0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
        0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
        0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
        0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
        0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
        0xeb86d391};
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];
    memcpy(words, block, 64); /* little endian as the machine is */
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f = i < 16   ? (b & c) | (~b & d)
                     : i < 32 ? (d & b) | (~d & c)
                     : i < 48 ? b ^ c ^ d
                              : c ^ (b | ~d);
        unsigned g = i < 16   ? i
                     : i < 32 ? (5 * i + 1) % 16
                     : i < 48 ? (3 * i + 5) % 16
                              : 7 * i % 16;
        f += a + sines[i] + words[g];
        a = d;
        d = c;
        c = b;
        b += left(f, shifts[i / 16 * 4 + i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void sha256_block(uint32_t state[8], const uint8_t *block)
{
    static const uint32_t roots[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t words[64], s[8];
    for (int i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t x = words[i - 15], y = words[i - 2];
        words[i] = words[i - 16] + words[i - 7] + (right(x, 7) ^ right(x, 18) ^ x >> 3) +
                   (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t first = s[7] + (right(s[4], 6) ^ right(s[4], 11) ^ right(s[4], 25)) +
                         ((s[4] & s[5]) ^ (~s[4] & s[6])) + roots[i] + words[i],
                 second = (right(s[0], 2) ^ right(s[0], 13) ^ right(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += first;
        s[0] = first + second;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

/* All blocks and the padding: 0x80, zeros, the length in bits, of which `before` bytes are in the
 * state. */
static void digest(uint32_t *state, struct weir_bytes data, size_t before, bool sha)
{
    uint8_t last[128] = {0};
    size_t whole = data.size / 64 * 64, rest = data.size - whole, end = rest < 56 ? 64 : 128;
    uint64_t bits = ((uint64_t)data.size + before) * 8;
    if (rest)
        memcpy(last, data.data + whole, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[end - 8 + i] = (uint8_t)(bits >> (sha ? 56 - 8 * i : 8 * i));
    for (size_t at = 0; at < whole; at += 64)
        sha ? sha256_block(state, data.data + at) : md5_block(state, data.data + at);
    for (size_t at = 0; at < end; at += 64)
        sha ? sha256_block(state, last + at) : md5_block(state, last + at);
}

void expr_sha256(const uint8_t *block, struct weir_bytes data, uint8_t ret[32])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    if (block)
        sha256_block(state, block);
    digest(state, data, block ? 64 : 0, true);
    for (int i = 0; i < 32; i++)
        ret[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static weir_status make_digest(struct weir_buffer *out, const struct weir_node *call,
                               const struct weir_lane *lanes, uint32_t row, const char **failed,
                               struct weir_error *reterr)
{
    bool sha = call->function->name[0] == 's';
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t bytes[32];
    size_t size = sha ? 32 : 16;
    if (sha) {
        expr_sha256(NULL, weir_lane_bytes(&lanes[0], row), bytes);
    } else {
        digest(state, weir_lane_bytes(&lanes[0], row), 0, false);
        for (int i = 0; i < 16; i++)
            bytes[i] = (uint8_t)(state[i / 4] >> (8 * (i % 4)));
    }
    WEIR_TRY(weir_buffer_reserve(out, size * 2 + 1, reterr));
    weir_print_hex((char *)out->data + out->size, bytes, size);
    out->size += size * 2;
    return WEIR_OK;
}

#define BY_ROW(name)                                                                               \
    static weir_status evaluate_##name(                                                            \
        struct weir_evaluation *evaluation, const struct weir_node *call,                          \
        const struct weir_vector *arguments, struct weir_vector *ret, struct weir_error *reterr)   \
    {                                                                                              \
        return by_row(evaluation, call, arguments, ret, make_##name, reterr);                      \
    }
BY_ROW(initcap)
BY_ROW(chr)
BY_ROW(translate)
BY_ROW(to_hex)
BY_ROW(encode)
BY_ROW(decode)
BY_ROW(digest)

/* Null only if the separator is. */
static weir_status evaluate_concat_ws(struct weir_evaluation *evaluation,
                                      const struct weir_node *call,
                                      const struct weir_vector *arguments, struct weir_vector *ret,
                                      struct weir_error *reterr)
{
    WEIR_TRY(expr_merge_validity(evaluation, &arguments[0], &ret->validity, reterr));
    return by_row(evaluation, call, arguments, ret, make_concat_ws, reterr);
}

/* ---- numbers of texts ---- */

static weir_status evaluate_ascii(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        ((int64_t *)ret->values)[i] = row_valid(ret, i) ? first_code(weir_lane_bytes(&lane, i)) : 0;
    return WEIR_OK;
}

#define DISTANCE_MAX 255 /* bytes of one text, as PostgreSQL has it */

static int64_t distance(struct weir_bytes a, struct weir_bytes b)
{
    int64_t line[DISTANCE_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        line[j] = (int64_t)j;
    for (size_t i = 1; i <= a.size; i++) {
        int64_t corner = line[0];
        line[0] = (int64_t)i;
        for (size_t j = 1; j <= b.size; j++) {
            int64_t best = corner + (a.data[i - 1] != b.data[j - 1]);
            corner = line[j];
            best = line[j] + 1 < best ? line[j] + 1 : best;
            line[j] = line[j - 1] + 1 < best ? line[j - 1] + 1 : best;
        }
    }
    return line[b.size];
}

static weir_status evaluate_levenshtein(struct weir_evaluation *evaluation,
                                        const struct weir_node *call,
                                        const struct weir_vector *arguments,
                                        struct weir_vector *ret, struct weir_error *reterr)
{
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        ((int64_t *)ret->values)[i] = 0;
        if (!row_valid(ret, i))
            continue;
        struct weir_bytes x = weir_lane_bytes(&a, i), y = weir_lane_bytes(&b, i);
        if (x.size > DISTANCE_MAX || y.size > DISTANCE_MAX)
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "levenshtein takes up to %d bytes", DISTANCE_MAX));
        else
            ((int64_t *)ret->values)[i] = distance(x, y);
        if (x.size > 64)
            WEIR_TRY(weir_arena_check(evaluation->arena, reterr));
    }
    return WEIR_OK;
}

static weir_status bind_hash(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        if (call->arguments[i]->unknown)
            WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = WEIR_LONG};
    return WEIR_OK;
}

static weir_status evaluate_hash(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < call->argument_count; i++)
        weir_vector_hash(&arguments[i], evaluation->count, i > 0, ret->values);
    return WEIR_OK;
}

/* ---- lists of parts ---- */

static uint32_t count_parts(struct weir_bytes text, struct weir_bytes by)
{
    uint32_t parts = 1;
    if (!by.size) {
        for (size_t i = 1; i < text.size; i++)
            parts += (text.data[i] & 0xC0) != 0x80;
        return text.size ? parts : 0;
    }
    for (const uint8_t *at = text.data, *end = text.data + text.size;
         at && (at = memmem(at, (size_t)(end - at), by.data, by.size)); at += by.size)
        parts++;
    return parts;
}

static size_t part_size(struct weir_bytes text, struct weir_bytes by)
{
    if (!by.size)
        return next_size(text, 0);
    const uint8_t *found = memmem(text.data, text.size, by.data, by.size);
    return found ? (size_t)(found - text.data) : text.size;
}

static weir_status evaluate_split(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]), by = weir_lane_of(&arguments[1]);
    struct weir_vector *child;
    size_t bytes = 0, parts = 0, put = 0;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        if (row_valid(ret, i)) {
            struct weir_bytes text = weir_lane_bytes(&lane, i);
            bytes += text.size;
            parts += count_parts(text, weir_lane_bytes(&by, i));
        }
        if (parts > INT32_MAX || bytes > INT32_MAX)
            return weir_fail(reterr, WEIR_NO_MEMORY, "a batch of more than 2 Gi parts");
        ret->offsets[i + 1] = (int32_t)parts;
    }
    WEIR_TRY(weir_arena_zero(evaluation->arena, 1, sizeof *child, &child, reterr));
    WEIR_TRY(weir_vector_make(evaluation->arena, &call->type.children[0].type, (uint32_t)parts,
                              bytes, child, reterr));
    child->count = (uint32_t)parts;
    ret->children = child;
    for (uint32_t i = 0, part = 0; i < evaluation->count; i++) {
        if (ret->offsets[i + 1] == ret->offsets[i])
            continue;
        struct weir_bytes text = weir_lane_bytes(&lane, i), sign = weir_lane_bytes(&by, i);
        for (; part < (uint32_t)ret->offsets[i + 1]; part++) {
            size_t size = part_size(text, sign);
            if (size)
                memcpy((uint8_t *)child->values + put, text.data, size);
            put += size;
            child->offsets[part + 1] = (int32_t)put;
            size_t passed = size + sign.size < text.size ? size + sign.size : text.size;
            text.data += passed;
            text.size -= passed;
        }
    }
    return WEIR_OK;
}

/* ---- uuid, types ---- */

static weir_status bind_uuid(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    (void)arena;
    (void)reterr;
    call->type = (struct weir_type){.id = WEIR_UUID};
    return WEIR_OK;
}

static weir_status evaluate_uuid(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    (void)arguments;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        uint8_t *bytes = (uint8_t *)ret->values + (size_t)i * 16;
        if (getrandom(bytes, 16, 0) != 16)
            return weir_fail(reterr, WEIR_FAILED, "the system has no random numbers");
        bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x40);
        bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    }
    return WEIR_OK;
}

/* typeof(x): known once bound */
static weir_status bind_typeof(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = arena->account};
    struct weir_node *made;
    WEIR_TRY(weir_type_print(&call->arguments[0]->type, &text, reterr));
    WEIR_TRY(weir_node_text(arena, (const char *)text.data, text.size, &made, reterr));
    made->unknown = false;
    made->location = call->location;
    *call = *made;
    call->value.type = &call->type;
    return WEIR_OK;
}

#define TEXT(name, signature, doc, least, most, bind, evaluate)                                    \
    {                                                                                              \
        name, "strings", signature, doc, WEIR_FUNCTION_STRICT, least, most, bind, evaluate, NULL   \
    }
#define OTHER(name, group, flags, signature, doc, least, most, bind, evaluate)                     \
    {                                                                                              \
        name, group, signature, doc, flags, least, most, bind, evaluate, NULL                      \
    }

const struct weir_function functions_other[] = {
    TEXT("initcap", "initcap(text)", "each word's first letter upper case", 1, 1, text_to_text,
         evaluate_initcap),
    TEXT("ascii", "ascii(text)", "code point of the first character", 1, 1, text_to_long,
         evaluate_ascii),
    TEXT("unicode", "unicode(text)", "code point of the first character", 1, 1, text_to_long,
         evaluate_ascii),
    TEXT("ord", "ord(text)", "code point of the first character", 1, 1, text_to_long,
         evaluate_ascii),
    TEXT("chr", "chr(n)", "the character of a code point", 1, 1, long_to_text, evaluate_chr),
    TEXT("translate", "translate(text, from, to)",
         "each character in `from` becomes that at its place in `to`, or nothing", 3, 3,
         text_to_text, evaluate_translate),
    TEXT("to_hex", "to_hex(n)", "in hexadecimal", 1, 1, long_to_text, evaluate_to_hex),
    OTHER("concat_ws", "strings", 0, "concat_ws(separator, a, b, ...)",
          "texts with the separator between, nulls left out", 2, -1, bind_concat_ws,
          evaluate_concat_ws),
    TEXT("encode", "encode(bytes, form)", "as hex or base64", 2, 2, bytes_to_text, evaluate_encode),
    TEXT("hex", "hex(bytes)", "as hex", 1, 1, bytes_to_text, evaluate_encode),
    TEXT("base64", "base64(bytes)", "as base64", 1, 1, bytes_to_text, evaluate_encode),
    TEXT("to_base64", "to_base64(bytes)", "as base64", 1, 1, bytes_to_text, evaluate_encode),
    TEXT("decode", "decode(text, form)", "bytes from hex or base64", 2, 2, text_to_binary,
         evaluate_decode),
    TEXT("unhex", "unhex(text)", "bytes from hex", 1, 1, text_to_binary, evaluate_decode),
    TEXT("from_base64", "from_base64(text)", "bytes from base64", 1, 1, text_to_binary,
         evaluate_decode),
    TEXT("levenshtein", "levenshtein(a, b)", "bytes to insert, delete or change", 2, 2,
         text_to_long, evaluate_levenshtein),
    TEXT("string_split", "string_split(text, separator)", "its parts as a list", 2, 2, list_of_text,
         evaluate_split),
    TEXT("string_to_array", "string_to_array(text, separator)", "its parts as a list", 2, 2,
         list_of_text, evaluate_split),
    TEXT("str_split", "str_split(text, separator)", "its parts as a list", 2, 2, list_of_text,
         evaluate_split),
    TEXT("split", "split(text, separator)", "its parts as a list", 2, 2, list_of_text,
         evaluate_split),
    OTHER("md5", "hashes", WEIR_FUNCTION_STRICT, "md5(bytes)", "MD5 in hex", 1, 1, bytes_to_text,
          evaluate_digest),
    OTHER("sha256", "hashes", WEIR_FUNCTION_STRICT, "sha256(bytes)", "SHA-256 in hex", 1, 1,
          bytes_to_text, evaluate_digest),
    OTHER("hash", "hashes", 0, "hash(a, b, ...)",
          "64 bits of any values; may differ between versions", 1, -1, bind_hash, evaluate_hash),
    OTHER("gen_random_uuid", "others", WEIR_FUNCTION_VOLATILE, "gen_random_uuid()",
          "a new random uuid", 0, 0, bind_uuid, evaluate_uuid),
    OTHER("uuid", "others", WEIR_FUNCTION_VOLATILE, "uuid()", "a new random uuid", 0, 0, bind_uuid,
          evaluate_uuid),
    OTHER("typeof", "others", 0, "typeof(x)", "the name of its type", 1, 1, bind_typeof,
          evaluate_hash),
    OTHER("pg_typeof", "others", 0, "pg_typeof(x)", "the name of its type", 1, 1, bind_typeof,
          evaluate_hash),
    {0},
};
