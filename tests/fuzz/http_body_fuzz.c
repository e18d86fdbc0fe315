/* Bodies of `weir gateway`: the first byte says how it is encoded and whether it is lines, the rest
 * is decompressed and split; then the records are checked by a decoder. Every record lies in the
 * body, they do not overlap, and memory comes back. */
#include "formats/json/json.h"
#include "scheduler/gateway/gateway_int.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weir_field fields[] = {
    {.name = "id", .id = 1, .required = true, .type = {.id = WEIR_STRING}},
    {.name = "n", .id = 2, .type = {.id = WEIR_LONG}},
};

static void check(struct weir_account *account, struct weir_arena *arena,
                  const struct weir_bytes *records, uint32_t count)
{
    const struct weir_type schema = {.id = WEIR_STRUCT, .child_count = 2, .children = fields};
    const struct weir_json_options options = {.unknown_fields = WEIR_UNKNOWN_QUARANTINE};
    struct weir_json_decoder *decoder;
    struct weir_decoded decoded;
    if (weir_json_decoder_new(account, &schema, &options, &decoder, NULL) != WEIR_OK)
        return;
    count = count < 2048 ? count : 2048;
    if (weir_json_decode(decoder, records, count, arena, &decoded, NULL) == WEIR_OK)
        assert(decoded.batch.count + decoded.refusal_count == count);
    weir_json_decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const encodings[] = {NULL, "gzip", "zstd", "br"};
    struct weir_account account;
    struct weir_arena arena;
    struct weir_buffer out;
    struct weir_bytes body, *records = NULL;
    struct problem problem = {0};
    uint32_t count = 0;
    if (size == 0)
        return 0;
    weir_account_init(&account, NULL, "fuzz", 64u << 20);
    weir_arena_init(&arena, &account);
    weir_buffer_init(&out, &account);
    weir_status status = body_decode(&account, encodings[data[0] & 3],
                                     (struct weir_bytes){data + 1, size - 1}, 1u << 20, &out, &body,
                                     &problem, NULL);
    if (status == WEIR_OK && !problem.status)
        status = body_split(&arena, body, data[0] & 4, &records, &count, &problem, NULL);
    if (status == WEIR_OK && !problem.status) {
        const uint8_t *at = body.data;
        for (uint32_t i = 0; i < count; i++) {
            assert(records[i].size > 0 && records[i].data >= at);
            at = records[i].data + records[i].size;
        }
        assert(count > 0 && at <= body.data + body.size);
        check(&account, &arena, records, count);
    }
    weir_buffer_done(&out);
    weir_arena_done(&arena);
    assert(atomic_load(&account.used) == 0);
    return 0;
}
