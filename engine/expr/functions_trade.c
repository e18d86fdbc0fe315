/* Functions of this trade: versions of software compared, IP addresses and their ranges, values of
 * persons masked. Described to readers by docs/sql.md, which is made from the table at the end. */
#include "engine/expr/function_int.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

static bool row_valid(const struct weir_vector *ret, uint32_t row)
{
    return !ret->validity || weir_bit_get(ret->validity, row);
}

static void set_bit(uint8_t *bits, uint32_t row, bool value)
{
    uint8_t mask = (uint8_t)(1U << (row & 7));
    bits[row >> 3] = (uint8_t)(value ? bits[row >> 3] | mask : bits[row >> 3] & ~mask);
}

static weir_status bind_text(struct weir_arena *arena, struct weir_node *call, uint32_t count,
                             enum weir_type_id result, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < count; i++)
        WEIR_TRY(bind_as(arena, call, i, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = result};
    return WEIR_OK;
}

/* ---- version_cmp ---- */

/* What is left of a version while it is read from the front. */
struct version {
    const uint8_t *at, *end;
};

static bool digit_at(const struct version *version)
{
    return version->at < version->end && isdigit(*version->at);
}

/* Build metadata, from a plus sign on, says nothing about order; a v before a digit neither. */
static struct version version_of(struct weir_bytes text)
{
    struct version version = {text.data, text.data + text.size};
    const uint8_t *plus = text.size ? memchr(text.data, '+', text.size) : NULL;
    if (plus)
        version.end = plus;
    if (version.end - version.at > 1 && tolower(version.at[0]) == 'v' && isdigit(version.at[1]))
        version.at++;
    return version;
}

/* The digits here, without zeros in front: compared by length, then by bytes, none overflows. */
static struct weir_bytes take_digits(struct version *version)
{
    while (digit_at(version) && *version->at == '0')
        version->at++;
    const uint8_t *start = version->at;
    while (digit_at(version))
        version->at++;
    return (struct weir_bytes){start, (size_t)(version->at - start)};
}

/* The next part between dots; none: no digits, which is 0. */
static struct weir_bytes take_part(struct version *version, bool first)
{
    if (!first) {
        if (version->end - version->at < 2 || version->at[0] != '.' || !isdigit(version->at[1]))
            return (struct weir_bytes){version->at, 0};
        version->at++;
    }
    return take_digits(version);
}

static int sign_of(int value)
{
    return (value > 0) - (value < 0);
}

static int order_digits(struct weir_bytes a, struct weir_bytes b)
{
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return a.size ? sign_of(memcmp(a.data, b.data, a.size)) : 0;
}

static bool separator(uint8_t byte)
{
    return byte == '.' || byte == '-' || byte == '_' || byte == '~' || byte == ' ';
}

static bool version_at_end(struct version *version)
{
    while (version->at < version->end && separator(*version->at))
        version->at++;
    return version->at == version->end;
}

static struct weir_bytes take_letters(struct version *version)
{
    const uint8_t *start = version->at;
    while (version->at < version->end && !separator(*version->at) && !isdigit(*version->at))
        version->at++;
    return (struct weir_bytes){start, (size_t)(version->at - start)};
}

static int order_letters(struct weir_bytes a, struct weir_bytes b)
{
    for (size_t i = 0; i < a.size && i < b.size; i++)
        if (tolower(a.data[i]) != tolower(b.data[i]))
            return tolower(a.data[i]) < tolower(b.data[i]) ? -1 : 1;
    return (a.size > b.size) - (a.size < b.size);
}

/* Suffixes: none is the release and above all; else runs of digits and of letters in turn, a number
 * below letters, the shorter first. */
static int order_suffix(struct version *a, struct version *b)
{
    bool a_ended = version_at_end(a), b_ended = version_at_end(b);
    if (a_ended || b_ended)
        return (int)a_ended - (int)b_ended;
    while (!a_ended && !b_ended) {
        bool a_digit = digit_at(a), b_digit = digit_at(b);
        if (a_digit != b_digit)
            return a_digit ? -1 : 1;
        struct weir_bytes x = a_digit ? take_digits(a) : take_letters(a),
                          y = a_digit ? take_digits(b) : take_letters(b);
        int order = a_digit ? order_digits(x, y) : order_letters(x, y);
        if (order)
            return order;
        a_ended = version_at_end(a);
        b_ended = version_at_end(b);
    }
    return (int)b_ended - (int)a_ended;
}

static int order_versions(struct weir_bytes left, struct weir_bytes right)
{
    struct version a = version_of(left), b = version_of(right);
    for (bool first = true;; first = false) {
        const uint8_t *a_before = a.at, *b_before = b.at;
        struct weir_bytes x = take_part(&a, first), y = take_part(&b, first);
        int order = order_digits(x, y);
        if (order)
            return order;
        if (!first && a.at == a_before && b.at == b_before)
            return order_suffix(&a, &b);
    }
}

static weir_status bind_version(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    return bind_text(arena, call, 2, WEIR_INT, reterr);
}

static weir_status evaluate_version(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++)
        ((int32_t *)ret->values)[i] = row_valid(ret, i) ? order_versions(weir_lane_bytes(&a, i),
                                                                         weir_lane_bytes(&b, i))
                                                        : 0;
    return WEIR_OK;
}

/* ---- IP addresses ---- */

#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + 4) /* an address and /128 */

struct address {
    uint8_t bytes[16];
    unsigned size, bits; /* 4 or 16 bytes; bits of the network, size * 8 without any said */
};

static bool read_bits(const char *text, unsigned most, unsigned *ret_bits)
{
    size_t size = strlen(text);
    if (!size || size > 3 || strspn(text, "0123456789") != size)
        return false;
    *ret_bits = (unsigned)strtoul(text, NULL, 10);
    return *ret_bits <= most;
}

/* ::ffff:a.b.c.d is the IPv4 address in it, so that both spellings are one. */
static void unmap(struct address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (address->size != 16 || address->bits < 96 || memcmp(address->bytes, mapped, 12) != 0)
        return;
    memmove(address->bytes, address->bytes + 12, 4);
    address->size = 4;
    address->bits -= 96;
}

/* range: a slash and bits may follow. false: no such. */
static bool address_read(struct weir_bytes text, bool range, struct address *ret)
{
    char copy[ADDRESS_TEXT_MAX + 1];
    if (!text.size || text.size > ADDRESS_TEXT_MAX || memchr(text.data, 0, text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = 0;
    char *slash = range ? strchr(copy, '/') : NULL;
    if (slash)
        *slash = 0;
    struct address address = {.size = strchr(copy, ':') ? 16 : 4};
    address.bits = address.size * 8;
    if (inet_pton(address.size == 4 ? AF_INET : AF_INET6, copy, address.bytes) != 1 ||
        (slash && !read_bits(slash + 1, address.size * 8, &address.bits)))
        return false;
    unmap(&address);
    *ret = address;
    return true;
}

static bool address_inside(const struct address *address, const struct address *range)
{
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    if (address->size != range->size || memcmp(address->bytes, range->bytes, whole) != 0)
        return false;
    return !rest || (address->bytes[whole] ^ range->bytes[whole]) >> (8 - rest) == 0;
}

/* RFC 1918 and RFC 4193 */
static bool address_private(const struct address *address)
{
    static const struct address ranges[] = {
        {{10}, 4, 8}, {{172, 16}, 4, 12}, {{192, 168}, 4, 16}, {{0xFC}, 16, 7}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (address_inside(address, &ranges[i]))
            return true;
    return false;
}

static weir_status bind_address(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    return bind_text(arena, call, call->argument_count, WEIR_BOOLEAN, reterr);
}

static weir_status evaluate_range(struct weir_evaluation *evaluation, const struct weir_node *call,
                                  const struct weir_vector *arguments, struct weir_vector *ret,
                                  struct weir_error *reterr)
{
    struct weir_lane a = weir_lane_of(&arguments[0]), b = weir_lane_of(&arguments[1]);
    struct address address, range = {.size = 0};
    struct weir_bytes last = {NULL, 0};
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        const char *failed = NULL;
        set_bit(ret->values, i, false);
        if (!row_valid(ret, i))
            continue;
        struct weir_bytes text = weir_lane_bytes(&b, i);
        /* the range is nearly always one constant: the same bytes are not read again */
        bool same = range.size && text.data == last.data && text.size == last.size;
        if (!address_read(weir_lane_bytes(&a, i), false, &address))
            failed = "the address is no IPv4 or IPv6 address";
        else if (!same && !address_read(text, true, &range))
            failed = "the range is no IPv4 or IPv6 address with /bits";
        if (failed) {
            range.size = 0;
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr, "%s: %s",
                                          call->function->name, failed));
            continue;
        }
        last = text;
        set_bit(ret->values, i, address_inside(&address, &range));
    }
    return WEIR_OK;
}

static weir_status evaluate_private(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    struct address address;
    WEIR_TRY(weir_result_flat(evaluation, &call->type, ret, reterr));
    for (uint32_t i = 0; i < evaluation->count; i++) {
        set_bit(ret->values, i, false);
        if (!row_valid(ret, i))
            continue;
        if (address_read(weir_lane_bytes(&lane, i), false, &address))
            set_bit(ret->values, i, address_private(&address));
        else
            WEIR_TRY(weir_evaluation_fail(evaluation, call, i, reterr,
                                          "ip_is_private: no IPv4 or IPv6 address"));
    }
    return WEIR_OK;
}

static weir_status bind_network(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    WEIR_TRY(bind_text(arena, call, 1, WEIR_STRING, reterr));
    return bind_as(arena, call, 1, WEIR_LONG, reterr);
}

/* *failed stays NULL: printed */
static weir_status print_network(struct weir_bytes text, int64_t bits, struct weir_buffer *out,
                                 const char **failed, struct weir_error *reterr)
{
    struct address address;
    char printed[INET6_ADDRSTRLEN];
    if (!address_read(text, false, &address)) {
        *failed = "no IPv4 or IPv6 address";
    } else if (bits < 0 || bits > (int64_t)address.size * 8) {
        *failed = address.size == 4 ? "an IPv4 network has 0 to 32 bits"
                                    : "an IPv6 network has 0 to 128 bits";
    } else {
        for (unsigned i = 0; i < address.size; i++) {
            int64_t kept = bits - 8 * (int64_t)i;
            if (kept < 8)
                address.bytes[i] &= (uint8_t)(kept <= 0 ? 0 : 0xFF << (8 - kept));
        }
        if (!inet_ntop(address.size == 4 ? AF_INET : AF_INET6, address.bytes, printed,
                       sizeof printed))
            return weir_fail(reterr, WEIR_FAILED, "ip_network: the address cannot be printed");
        return weir_buffer_print(out, reterr, "%s/%d", printed, (int)bits);
    }
    return WEIR_OK;
}

static weir_status evaluate_network(struct weir_evaluation *evaluation,
                                    const struct weir_node *call,
                                    const struct weir_vector *arguments, struct weir_vector *ret,
                                    struct weir_error *reterr)
{
    struct weir_lane ip = weir_lane_of(&arguments[0]), bits = weir_lane_of(&arguments[1]);
    struct text_writer writer;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        const char *failed = NULL;
        if (row_valid(ret, i))
            status = print_network(weir_lane_bytes(&ip, i),
                                   ((const int64_t *)bits.flat->values)[weir_lane(&bits, i)],
                                   &writer.buffer, &failed, reterr);
        if (status == WEIR_OK && failed)
            status = weir_evaluation_fail(evaluation, call, i, reterr, "ip_network: %s", failed);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- mask_email ---- */

static weir_status bind_mask(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    return bind_text(arena, call, 1, WEIR_STRING, reterr);
}

/* The first character stays only where more than one would be hidden with it; without an at sign
 * nothing is known to be a domain, so nothing stays. */
static weir_status print_mask(struct weir_bytes text, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    const uint8_t *at = text.size ? memrchr(text.data, '@', text.size) : NULL;
    if (!at)
        return weir_buffer_append(out, "***", 3, reterr);
    size_t name = (size_t)(at - text.data), first = name ? 1 : 0;
    while (first && first < name && (text.data[first] & 0xC0) == 0x80)
        first++;
    if (first < name)
        WEIR_TRY(weir_buffer_append(out, text.data, first, reterr));
    WEIR_TRY(weir_buffer_append(out, "***", 3, reterr));
    return weir_buffer_append(out, at, text.size - name, reterr);
}

static weir_status evaluate_mask(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane lane = weir_lane_of(&arguments[0]);
    struct text_writer writer;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i))
            status = print_mask(weir_lane_bytes(&lane, i), &writer.buffer, reterr);
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

/* ---- hmac_sha256 (RFC 2104), secret ---- */

struct hmac_key {
    uint8_t inner[64], outer[64];
};

static void hmac_key_of(struct weir_bytes key, struct hmac_key *ret)
{
    uint8_t block[64] = {0};
    if (key.size > sizeof block)
        expr_sha256(NULL, key, block);
    else if (key.size)
        memcpy(block, key.data, key.size);
    for (size_t i = 0; i < sizeof block; i++) {
        ret->inner[i] = block[i] ^ 0x36;
        ret->outer[i] = block[i] ^ 0x5C;
    }
    explicit_bzero(block, sizeof block);
}

#define SECRET_MAX 4096 /* bytes of a secret's file */

static weir_status secret_file(struct weir_arena *arena, const char *path,
                               struct weir_bytes *ret_value, struct weir_error *reterr)
{
    struct stat about;
    uint8_t *data;
    WEIR_TRY(weir_arena_alloc(arena, SECRET_MAX + 1, &data, reterr));
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return weir_fail(reterr, WEIR_USAGE, "secret: file %s: %s", path, strerror(errno));
    ssize_t size = -1;
    if (fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_size <= SECRET_MAX)
        size = read(file, data, SECRET_MAX + 1);
    close(file);
    if (size < 0 || size > SECRET_MAX)
        return weir_fail(reterr, WEIR_USAGE, "secret: file %s is no file of up to %d bytes", path,
                         SECRET_MAX);
    if (size && data[size - 1] == '\n')
        size--;
    if (size && data[size - 1] == '\r')
        size--;
    *ret_value = (struct weir_bytes){data, (size_t)size};
    return WEIR_OK;
}

/* Of the environment, or of a file where the name starts with "file:". Errors say the name only. */
static weir_status secret_find(struct weir_arena *arena, const struct weir_node *name,
                               struct weir_bytes *ret_value, struct weir_error *reterr)
{
    char *copy;
    struct weir_bytes value, text = {NULL, 0};
    if (name->kind == WEIR_NODE_CONSTANT && weir_vector_valid(&name->value, 0)) {
        struct weir_lane lane = weir_lane_of(&name->value);
        text = weir_lane_bytes(&lane, 0);
    }
    if (!text.size || memchr(text.data, 0, text.size))
        return weir_fail(reterr, WEIR_USAGE,
                         "secret takes the name of a variable of the environment, or 'file:PATH'");
    WEIR_TRY(weir_arena_copy(arena, text.data, text.size, &copy, reterr));
    if (strncmp(copy, "file:", 5) == 0) {
        WEIR_TRY(secret_file(arena, copy + 5, &value, reterr));
    } else {
        const char *found = getenv(copy);
        if (!found)
            return weir_fail(reterr, WEIR_USAGE, "secret: the environment has no %s", copy);
        value = (struct weir_bytes){(const uint8_t *)found, strlen(found)};
    }
    if (!value.size)
        return weir_fail(reterr, WEIR_USAGE, "secret: %s is empty", copy);
    *ret_value = value;
    return WEIR_OK;
}

static weir_status bind_secret(struct weir_arena *arena, struct weir_node *call,
                               struct weir_error *reterr)
{
    return bind_text(arena, call, 1, WEIR_STRING, reterr);
}

/* Reached only outside hmac_sha256, whose prepare_hmac takes the node away: never gives a value, so
 * that folding leaves it, and nothing can print one. */
static weir_status evaluate_secret(struct weir_evaluation *evaluation, const struct weir_node *call,
                                   const struct weir_vector *arguments, struct weir_vector *ret,
                                   struct weir_error *reterr)
{
    (void)arguments;
    struct text_writer writer;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        status = weir_evaluation_fail(evaluation, call, i, reterr,
                                      "secret can only be the key of hmac_sha256");
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

static bool is_secret(const struct weir_node *node)
{
    return node->kind == WEIR_NODE_CALL && node->function->evaluate == evaluate_secret;
}

static weir_status bind_hmac(struct weir_arena *arena, struct weir_node *call,
                             struct weir_error *reterr)
{
    if (call->arguments[0]->type.id != WEIR_BINARY)
        WEIR_TRY(bind_as(arena, call, 0, WEIR_STRING, reterr));
    if (call->arguments[1]->type.id != WEIR_BINARY)
        WEIR_TRY(bind_as(arena, call, 1, WEIR_STRING, reterr));
    call->type = (struct weir_type){.id = WEIR_STRING};
    return WEIR_OK;
}

/* A secret's key is kept beside the tree; in the tree stay its name and a third argument, which no
 * statement can write: so calls with two secrets differ, and with a literal key of that name too.
 */
static weir_status prepare_hmac(struct weir_arena *arena, struct weir_node *call,
                                struct weir_error *reterr)
{
    struct weir_bytes value;
    struct hmac_key *key;
    struct weir_node **arguments, *secret = call->arguments[1];
    if (!is_secret(secret))
        return WEIR_OK;
    WEIR_TRY(secret_find(arena, secret->arguments[0], &value, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *key, &key, reterr));
    WEIR_TRY(weir_arena_zero(arena, 3, sizeof(void *), &arguments, reterr));
    hmac_key_of(value, key);
    arguments[0] = call->arguments[0];
    arguments[1] = secret->arguments[0];
    WEIR_TRY(weir_node_text(arena, "secret", 6, &arguments[2], reterr));
    arguments[2]->unknown = false;
    call->arguments = arguments;
    call->argument_count = 3;
    call->prepared = key;
    return WEIR_OK;
}

static weir_status print_hmac(const struct hmac_key *key, struct weir_bytes value,
                              struct weir_buffer *out, struct weir_error *reterr)
{
    uint8_t digest[32];
    expr_sha256(key->inner, value, digest);
    expr_sha256(key->outer, (struct weir_bytes){digest, sizeof digest}, digest);
    WEIR_TRY(weir_buffer_reserve(out, 65, reterr));
    weir_print_hex((char *)out->data + out->size, digest, sizeof digest);
    out->size += 64;
    return WEIR_OK;
}

static weir_status evaluate_hmac(struct weir_evaluation *evaluation, const struct weir_node *call,
                                 const struct weir_vector *arguments, struct weir_vector *ret,
                                 struct weir_error *reterr)
{
    struct weir_lane value = weir_lane_of(&arguments[0]), by = weir_lane_of(&arguments[1]);
    struct hmac_key key;
    struct text_writer writer;
    weir_status status = text_begin(&writer, evaluation, &call->type, ret, reterr);
    for (uint32_t i = 0; i < evaluation->count && status == WEIR_OK; i++) {
        if (row_valid(ret, i)) {
            if (!call->prepared)
                hmac_key_of(weir_lane_bytes(&by, i), &key);
            status = print_hmac(call->prepared ? call->prepared : &key, weir_lane_bytes(&value, i),
                                &writer.buffer, reterr);
        }
        if (status == WEIR_OK)
            status = text_row(&writer, reterr);
    }
    return text_finish(&writer, status, reterr);
}

#define TRADE(name, group, signature, doc, count, bind, evaluate, prepare)                         \
    {                                                                                              \
        name, group, signature, doc, WEIR_FUNCTION_STRICT, count, count, bind, evaluate, prepare   \
    }

const struct weir_function functions_trade[] = {
    TRADE("version_cmp", "versions and addresses", "version_cmp(a, b)",
          "-1, 0 or 1 as version a is before, at or after b: numbers between dots of any length, "
          "missing ones 0; then a suffix (-rc1) is before none; a leading v and +build count for "
          "nothing",
          2, bind_version, evaluate_version, NULL),
    TRADE("ip_in_range", "versions and addresses", "ip_in_range(ip, range)",
          "whether an IPv4 or IPv6 address is in address/bits; ::ffff:a.b.c.d is a.b.c.d", 2,
          bind_address, evaluate_range, NULL),
    TRADE("ip_is_private", "versions and addresses", "ip_is_private(ip)",
          "in 10/8, 172.16/12, 192.168/16 or fc00::/7", 1, bind_address, evaluate_private, NULL),
    TRADE("ip_network", "versions and addresses", "ip_network(ip, bits)",
          "the network of an address as address/bits", 2, bind_network, evaluate_network, NULL),
    TRADE("mask_email", "masking", "mask_email(text)",
          "a***@example.com; *** where there is no at sign", 1, bind_mask, evaluate_mask, NULL),
    TRADE("hmac_sha256", "masking", "hmac_sha256(bytes, key)", "HMAC-SHA-256 in hex", 2, bind_hmac,
          evaluate_hmac, prepare_hmac),
    TRADE("secret", "masking", "secret(name)",
          "only as the key of hmac_sha256: a variable of the environment, or 'file:PATH'; read "
          "when the statement is bound, never shown",
          1, bind_secret, evaluate_secret, NULL),
    {0},
};
