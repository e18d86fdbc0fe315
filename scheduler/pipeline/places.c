/* Regions in names of hosts and of AWS resources. */
#include "scheduler/pipeline/places.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t size;
};

/* The host of an address; what stands before '@' is a user, and no part of it. */
static struct text host_of(const char *address, size_t size)
{
    const char *scheme = memmem(address, size, "://", 3), *end = address + size,
               *at = scheme ? scheme + 3 : address, *user;
    size_t length = 0;
    while (at + length < end && !memchr("/?#", at[length], 3))
        length++;
    user = memrchr(at, '@', length);
    if (user) {
        length -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    if (length && *at == '[') {
        const char *close = memchr(at, ']', length);
        return (struct text){at + 1, close ? (size_t)(close - at - 1) : 0};
    }
    const char *colon = memchr(at, ':', length);
    length = colon ? (size_t)(colon - at) : length;
    while (length && at[length - 1] == '.') /* the root's dot */
        length--;
    return (struct text){at, length};
}

static bool is_text(struct text text, const char *wanted)
{
    return text.size == strlen(wanted) && strncasecmp(text.at, wanted, text.size) == 0;
}

static bool is_here(struct text host)
{
    if (is_text(host, "localhost") || is_text(host, "::1"))
        return true;
    if (host.size > 10 && is_text((struct text){host.at + host.size - 10, 10}, ".localhost"))
        return true;
    bool numeric = host.size > 4 && strncmp(host.at, "127.", 4) == 0;
    for (size_t i = 0; i < host.size; i++)
        numeric &= (host.at[i] >= '0' && host.at[i] <= '9') || host.at[i] == '.';
    return numeric;
}

/* What stands before AWS's own domain; false: it is not under it. */
static bool is_aws(struct text *host)
{
    static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn", ".api.aws",
                                          ".api.amazonwebservices.com.cn", ".on.aws"};
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
        size_t size = strlen(domains[i]);
        if (host->size > size &&
            is_text((struct text){host->at + host->size - size, size}, domains[i])) {
            host->size -= size;
            return true;
        }
    }
    return false;
}

/* "eu-west-2", "us-gov-east-1", "me-central-1": two letters, a quarter of the sky, a digit. */
static bool is_region(struct text part)
{
    static const char *const skies[] = {"north",     "south",     "east",
                                        "west",      "central",   "northeast",
                                        "northwest", "southeast", "southwest"};
    char sky[WEIR_REGION_SIZE];
    if (part.size < 8 || part.size >= sizeof sky || part.at[2] != '-' ||
        part.at[part.size - 2] != '-' || part.at[part.size - 1] < '1' ||
        part.at[part.size - 1] > '9')
        return false;
    for (size_t i = 0; i < 2; i++)
        if ((part.at[i] | 0x20) < 'a' || (part.at[i] | 0x20) > 'z')
            return false;
    snprintf(sky, sizeof sky, "%.*s", (int)(part.size - 5), part.at + 3);
    const char *last = strrchr(sky, '-'); /* behind gov, iso, isob, ... */
    last = last ? last + 1 : sky;
    for (size_t i = 0; i < sizeof skies / sizeof *skies; i++)
        if (strcasecmp(last, skies[i]) == 0)
            return true;
    return false;
}

enum weir_place weir_place_of(const char *address, size_t size, char ret_region[WEIR_REGION_SIZE])
{
    struct text host = host_of(address, size);
    ret_region[0] = '\0';
    if (is_here(host))
        return WEIR_PLACE_HERE;
    if (!is_aws(&host))
        return WEIR_PLACE_UNKNOWN;
    for (size_t end = host.size; end > 0;) {
        size_t begin = end;
        while (begin > 0 && host.at[begin - 1] != '.')
            begin--;
        struct text part = {host.at + begin, end - begin};
        if (part.size > 3 && strncasecmp(part.at, "s3-", 3) == 0) /* s3-eu-west-1, as it was */
            part = (struct text){part.at + 3, part.size - 3};
        if (is_region(part)) {
            for (size_t i = 0; i < part.size; i++)
                ret_region[i] = (char)(part.at[i] | (part.at[i] >= 'A' && part.at[i] <= 'Z') << 5);
            ret_region[part.size] = '\0';
            return WEIR_PLACE_REGION;
        }
        end = begin ? begin - 1 : 0;
    }
    return WEIR_PLACE_UNKNOWN;
}

bool weir_place_of_arn(const char *arn, const char *service, char ret_region[WEIR_REGION_SIZE],
                       char ret_account[16])
{
    struct text parts[6] = {{arn, 0}};
    size_t count = 1;
    for (const char *at = arn; *at && count <= 6; at++) {
        if (*at == ':' && count < 6)
            parts[count++] = (struct text){at + 1, 0};
        else
            parts[count - 1].size++;
    }
    if (count < 6 || !is_text(parts[0], "arn") || !is_text(parts[2], service) ||
        parts[3].size >= WEIR_REGION_SIZE || parts[4].size >= 16 || parts[5].size == 0)
        return false;
    snprintf(ret_region, WEIR_REGION_SIZE, "%.*s", (int)parts[3].size, parts[3].at);
    snprintf(ret_account, 16, "%.*s", (int)parts[4].size, parts[4].at);
    return true;
}
