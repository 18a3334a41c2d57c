/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Netlink messages and attributes (API of 6.12).
 * Differs from Linux: the functions whose names libnl owns too carry the prefix umc_ on the linker's side.
 * Rust owner: nla.rs (attributes), netlink.rs (messages)
 */
#ifndef UMC_NET_NETLINK_H
#define UMC_NET_NETLINK_H

#include <linux/types.h>
#include <linux/bug.h>
#include <linux/jiffies.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <uapi/linux/in6.h>

/* Types of attributes in a policy. */
enum {
	NLA_UNSPEC,
	NLA_U8,
	NLA_U16,
	NLA_U32,
	NLA_U64,
	NLA_STRING,
	NLA_FLAG,
	NLA_MSECS,
	NLA_NESTED,
	NLA_NESTED_ARRAY,
	NLA_NUL_STRING,
	NLA_BINARY,
	NLA_S8,
	NLA_S16,
	NLA_S32,
	NLA_S64,
	NLA_BITFIELD32,
	NLA_REJECT,
	NLA_BE16,
	NLA_BE32,
	NLA_SINT,
	NLA_UINT,
	__NLA_TYPE_MAX,
};
#define NLA_TYPE_MAX (__NLA_TYPE_MAX - 1)

enum nla_policy_validation {
	NLA_VALIDATE_NONE,
	NLA_VALIDATE_RANGE,
	NLA_VALIDATE_RANGE_WARN_TOO_LONG,
	NLA_VALIDATE_MIN,
	NLA_VALIDATE_MAX,
	NLA_VALIDATE_MASK,
	NLA_VALIDATE_RANGE_PTR,
	NLA_VALIDATE_FUNCTION,
};

/* umc: shared */
struct netlink_range_validation {
	u64 min, max;
};

/* umc: shared */
struct netlink_range_validation_signed {
	s64 min, max;
};

/* umc: shared */
struct nla_policy {
	u8 type;
	u8 validation_type;
	u16 len;
	union {
		u16 strict_start_type;
		const u32 bitfield32_valid;
		const u32 mask;
		const char *reject_message;
		const struct nla_policy *nested_policy;
		const struct netlink_range_validation *range;
		const struct netlink_range_validation_signed *range_signed;
		struct {
			s16 min, max;
		};
		int (*validate)(const struct nlattr *attr, struct netlink_ext_ack *extack);
	};
};

#define NLA_POLICY_NESTED(policy) \
	{ .type = NLA_NESTED, .nested_policy = policy, .len = ARRAY_SIZE(policy) - 1 }
#define NLA_POLICY_NESTED_ARRAY(policy) \
	{ .type = NLA_NESTED_ARRAY, .nested_policy = policy, .len = ARRAY_SIZE(policy) - 1 }
#define NLA_POLICY_BITFIELD32(valid) { .type = NLA_BITFIELD32, .bitfield32_valid = valid }
#define NLA_POLICY_RANGE(tp, _min, _max) \
	{ .type = tp, .validation_type = NLA_VALIDATE_RANGE, .min = _min, .max = _max }
#define NLA_POLICY_FULL_RANGE(tp, _range) \
	{ .type = tp, .validation_type = NLA_VALIDATE_RANGE_PTR, .range = _range }
#define NLA_POLICY_FULL_RANGE_SIGNED(tp, _range) \
	{ .type = tp, .validation_type = NLA_VALIDATE_RANGE_PTR, .range_signed = _range }
#define NLA_POLICY_MIN(tp, _min) { .type = tp, .validation_type = NLA_VALIDATE_MIN, .min = _min }
#define NLA_POLICY_MAX(tp, _max) { .type = tp, .validation_type = NLA_VALIDATE_MAX, .max = _max }
#define NLA_POLICY_MASK(tp, _mask) { .type = tp, .validation_type = NLA_VALIDATE_MASK, .mask = _mask }
#define NLA_POLICY_VALIDATE_FN(tp, fn, ...) \
	{ .type = tp, .validation_type = NLA_VALIDATE_FUNCTION, .validate = fn, .len = __VA_ARGS__ + 0 }
#define NLA_POLICY_EXACT_LEN(_len) NLA_POLICY_RANGE(NLA_BINARY, _len, _len)
#define NLA_POLICY_MIN_LEN(_len) NLA_POLICY_MIN(NLA_BINARY, _len)

/* How strictly attributes are validated. */
enum netlink_validation {
	NL_VALIDATE_LIBERAL = 0,
	NL_VALIDATE_TRAILING = 1,
	NL_VALIDATE_MAXTYPE = 2,
	NL_VALIDATE_UNSPEC = 4,
	NL_VALIDATE_STRICT_ATTRS = 8,
	NL_VALIDATE_NESTED = 16,
};
#define NL_VALIDATE_DEPRECATED_STRICT (NL_VALIDATE_TRAILING | NL_VALIDATE_MAXTYPE)
#define NL_VALIDATE_STRICT \
	(NL_VALIDATE_TRAILING | NL_VALIDATE_MAXTYPE | NL_VALIDATE_UNSPEC | NL_VALIDATE_STRICT_ATTRS | NL_VALIDATE_NESTED)

extern int netlink_rcv_skb(struct sk_buff *skb, int (*cb)(struct sk_buff *, struct nlmsghdr *, struct netlink_ext_ack *));
extern int nlmsg_notify(struct sock *sk, struct sk_buff *skb, u32 portid, unsigned int group, int report, gfp_t flags);

extern int __nla_validate(const struct nlattr *head, int len, int maxtype, const struct nla_policy *policy, unsigned int validate, struct netlink_ext_ack *extack);
extern int __nla_parse(struct nlattr **tb, int maxtype, const struct nlattr *head, int len, const struct nla_policy *policy, unsigned int validate, struct netlink_ext_ack *extack);
extern int nla_policy_len(const struct nla_policy *p, int n);
extern struct nlattr *nla_find(const struct nlattr *head, int len, int attrtype) __asm__("umc_nla_find");
extern ssize_t nla_strscpy(char *dst, const struct nlattr *nla, size_t dstsize);
extern char *nla_strdup(const struct nlattr *nla, gfp_t flags) __asm__("umc_nla_strdup");
extern int nla_memcpy(void *dest, const struct nlattr *src, int count) __asm__("umc_nla_memcpy");
extern int nla_memcmp(const struct nlattr *nla, const void *data, size_t size) __asm__("umc_nla_memcmp");
extern int nla_strcmp(const struct nlattr *nla, const char *str) __asm__("umc_nla_strcmp");
extern struct nlattr *__nla_reserve(struct sk_buff *skb, int attrtype, int attrlen);
extern struct nlattr *__nla_reserve_64bit(struct sk_buff *skb, int attrtype, int attrlen, int padattr);
extern void *__nla_reserve_nohdr(struct sk_buff *skb, int attrlen);
extern struct nlattr *nla_reserve(struct sk_buff *skb, int attrtype, int attrlen) __asm__("umc_nla_reserve");
extern struct nlattr *nla_reserve_64bit(struct sk_buff *skb, int attrtype, int attrlen, int padattr);
extern void *nla_reserve_nohdr(struct sk_buff *skb, int attrlen);
extern void __nla_put(struct sk_buff *skb, int attrtype, int attrlen, const void *data);
extern void __nla_put_64bit(struct sk_buff *skb, int attrtype, int attrlen, const void *data, int padattr);
extern void __nla_put_nohdr(struct sk_buff *skb, int attrlen, const void *data);
extern int nla_put(struct sk_buff *skb, int attrtype, int attrlen, const void *data) __asm__("umc_nla_put");
extern int nla_put_64bit(struct sk_buff *skb, int attrtype, int attrlen, const void *data, int padattr);
extern int nla_put_nohdr(struct sk_buff *skb, int attrlen, const void *data);
extern int nla_append(struct sk_buff *skb, int attrlen, const void *data);
extern void *nla_memdup(const struct nlattr *src, gfp_t gfp);

/* Messages. */

static inline int nlmsg_msg_size(int payload)
{
	return payload + NLMSG_HDRLEN;
}

static inline int nlmsg_total_size(int payload)
{
	return NLMSG_ALIGN(nlmsg_msg_size(payload));
}

static inline int nlmsg_padlen(int payload)
{
	return nlmsg_total_size(payload) - nlmsg_msg_size(payload);
}

static inline void *nlmsg_data(const struct nlmsghdr *nlh)
{
	return NLMSG_DATA(nlh);
}

static inline int nlmsg_len(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_len - NLMSG_HDRLEN;
}

static inline struct nlattr *nlmsg_attrdata(const struct nlmsghdr *nlh, int hdrlen)
{
	return (struct nlattr *)((char *)nlmsg_data(nlh) + NLMSG_ALIGN(hdrlen));
}

static inline int nlmsg_attrlen(const struct nlmsghdr *nlh, int hdrlen)
{
	return nlmsg_len(nlh) - NLMSG_ALIGN(hdrlen);
}

static inline int nlmsg_ok(const struct nlmsghdr *nlh, int remaining)
{
	int header = sizeof(*nlh);

	return remaining >= header && nlh->nlmsg_len >= header && nlh->nlmsg_len <= remaining;
}

static inline struct nlmsghdr *nlmsg_next(const struct nlmsghdr *nlh, int *remaining)
{
	int step = NLMSG_ALIGN(nlh->nlmsg_len);

	*remaining -= step;
	return (struct nlmsghdr *)((char *)nlh + step);
}

static inline int nlmsg_report(const struct nlmsghdr *nlh)
{
	return nlh && (nlh->nlmsg_flags & NLM_F_ECHO);
}

static inline u32 nlmsg_seq(const struct nlmsghdr *nlh)
{
	return nlh ? nlh->nlmsg_seq : 0;
}

static inline struct nlmsghdr *nlmsg_put(struct sk_buff *skb, u32 portid, u32 seq, int type, int payload, int flags)
{
	if (skb_tailroom(skb) < nlmsg_total_size(payload))
		return NULL;
	return __nlmsg_put(skb, portid, seq, type, payload, flags);
}

static inline struct nlmsghdr *nlmsg_put_answer(struct sk_buff *skb, struct netlink_callback *cb, int type, int payload, int flags)
{
	return nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, type, payload, flags);
}

static inline struct sk_buff *nlmsg_new(size_t payload, gfp_t flags)
{
	return alloc_skb(nlmsg_total_size(payload), flags);
}

static inline void nlmsg_end(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlh->nlmsg_len = skb_tail_pointer(skb) - (unsigned char *)nlh;
}

static inline void *nlmsg_get_pos(struct sk_buff *skb)
{
	return skb_tail_pointer(skb);
}

static inline void nlmsg_trim(struct sk_buff *skb, const void *mark)
{
	if (mark)
		skb_trim(skb, (unsigned char *)mark - skb->data);
}

static inline void nlmsg_cancel(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlmsg_trim(skb, nlh);
}

static inline void nlmsg_free(struct sk_buff *skb)
{
	kfree_skb(skb);
}

static inline void nlmsg_consume(struct sk_buff *skb)
{
	consume_skb(skb);
}

static inline int nlmsg_multicast_filtered(struct sock *sk, struct sk_buff *skb, u32 portid, unsigned int group, gfp_t flags, netlink_filter_fn filter, void *filter_data)
{
	int err;

	NETLINK_CB(skb).dst_group = group;
	err = netlink_broadcast_filtered(sk, skb, portid, group, flags, filter, filter_data);
	return err > 0 ? 0 : err;
}

static inline int nlmsg_multicast(struct sock *sk, struct sk_buff *skb, u32 portid, unsigned int group, gfp_t flags)
{
	return nlmsg_multicast_filtered(sk, skb, portid, group, flags, NULL, NULL);
}

static inline int nlmsg_unicast(struct sock *sk, struct sk_buff *skb, u32 portid)
{
	int err = netlink_unicast(sk, skb, portid, MSG_DONTWAIT);

	return err > 0 ? 0 : err;
}

static inline void nl_dump_check_consistent(struct netlink_callback *cb, struct nlmsghdr *nlh)
{
	if (cb->prev_seq && cb->prev_seq != cb->seq)
		nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	cb->prev_seq = cb->seq;
}

#define nlmsg_for_each_msg(pos, head, len, rem) \
	for (pos = head, rem = len; nlmsg_ok(pos, rem); pos = nlmsg_next(pos, &(rem)))
#define nlmsg_for_each_attr(pos, nlh, hdrlen, rem) \
	nla_for_each_attr(pos, nlmsg_attrdata(nlh, hdrlen), nlmsg_attrlen(nlh, hdrlen), rem)

/* Attributes. */

static inline int nla_attr_size(int payload)
{
	return payload + NLA_HDRLEN;
}

static inline int nla_total_size(int payload)
{
	return NLA_ALIGN(nla_attr_size(payload));
}

/* Attributes of 64 bits need no padding on x86-64: it reads them unaligned. */
static inline int nla_total_size_64bit(int payload)
{
	return nla_total_size(payload);
}

static inline int nla_padlen(int payload)
{
	return nla_total_size(payload) - nla_attr_size(payload);
}

static inline int nla_type(const struct nlattr *nla)
{
	return nla->nla_type & NLA_TYPE_MASK;
}

static inline void *nla_data(const struct nlattr *nla)
{
	return (char *)nla + NLA_HDRLEN;
}

static inline int nla_len(const struct nlattr *nla)
{
	return nla->nla_len - NLA_HDRLEN;
}

static inline int nla_ok(const struct nlattr *nla, int remaining)
{
	int header = sizeof(*nla);

	return remaining >= header && nla->nla_len >= header && nla->nla_len <= remaining;
}

static inline struct nlattr *nla_next(const struct nlattr *nla, int *remaining)
{
	int step = NLA_ALIGN(nla->nla_len);

	*remaining -= step;
	return (struct nlattr *)((char *)nla + step);
}

static inline bool nla_is_last(const struct nlattr *nla, int rem)
{
	return rem == nla->nla_len;
}

#define nla_for_each_attr(pos, head, len, rem) \
	for (pos = head, rem = len; nla_ok(pos, rem); pos = nla_next(pos, &(rem)))
#define nla_for_each_nested(pos, nla, rem) nla_for_each_attr(pos, nla_data(nla), nla_len(nla), rem)
#define nla_for_each_attr_type(pos, type, head, len, rem)	\
	nla_for_each_attr(pos, head, len, rem)			\
		if (nla_type(pos) == type)
#define nla_for_each_nested_type(pos, type, nla, rem)	\
	nla_for_each_nested(pos, nla, rem)		\
		if (nla_type(pos) == type)

static inline struct nlattr *nla_find_nested(const struct nlattr *nla, int attrtype)
{
	return nla_find(nla_data(nla), nla_len(nla), attrtype);
}

static inline struct nlattr *nlmsg_find_attr(const struct nlmsghdr *nlh, int hdrlen, int attrtype)
{
	return nla_find(nlmsg_attrdata(nlh, hdrlen), nlmsg_attrlen(nlh, hdrlen), attrtype);
}

/* The same parser in its three degrees of strictness, for a stream, a message, and a nest. */

static inline int nla_parse(struct nlattr **tb, int maxtype, const struct nlattr *head, int len, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_parse(tb, maxtype, head, len, policy, NL_VALIDATE_STRICT, extack);
}

static inline int nla_parse_deprecated(struct nlattr **tb, int maxtype, const struct nlattr *head, int len, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_parse(tb, maxtype, head, len, policy, NL_VALIDATE_LIBERAL, extack);
}

static inline int nla_parse_deprecated_strict(struct nlattr **tb, int maxtype, const struct nlattr *head, int len, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_parse(tb, maxtype, head, len, policy, NL_VALIDATE_DEPRECATED_STRICT, extack);
}

static inline int __nlmsg_parse(const struct nlmsghdr *nlh, int hdrlen, struct nlattr *tb[], int maxtype, const struct nla_policy *policy, unsigned int validate, struct netlink_ext_ack *extack)
{
	if (nlh->nlmsg_len < nlmsg_msg_size(hdrlen)) {
		NL_SET_ERR_MSG(extack, "message shorter than its header");
		return -EINVAL;
	}
	return __nla_parse(tb, maxtype, nlmsg_attrdata(nlh, hdrlen), nlmsg_attrlen(nlh, hdrlen), policy, validate, extack);
}

static inline int nlmsg_parse(const struct nlmsghdr *nlh, int hdrlen, struct nlattr *tb[], int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nlmsg_parse(nlh, hdrlen, tb, maxtype, policy, NL_VALIDATE_STRICT, extack);
}

static inline int nlmsg_parse_deprecated(const struct nlmsghdr *nlh, int hdrlen, struct nlattr *tb[], int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nlmsg_parse(nlh, hdrlen, tb, maxtype, policy, NL_VALIDATE_LIBERAL, extack);
}

static inline int nlmsg_parse_deprecated_strict(const struct nlmsghdr *nlh, int hdrlen, struct nlattr *tb[], int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nlmsg_parse(nlh, hdrlen, tb, maxtype, policy, NL_VALIDATE_DEPRECATED_STRICT, extack);
}

static inline int nla_parse_nested(struct nlattr *tb[], int maxtype, const struct nlattr *nla, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	if (!(nla->nla_type & NLA_F_NESTED)) {
		NL_SET_ERR_MSG_ATTR(extack, nla, "attribute is not marked as nested");
		return -EINVAL;
	}
	return __nla_parse(tb, maxtype, nla_data(nla), nla_len(nla), policy, NL_VALIDATE_STRICT, extack);
}

static inline int nla_parse_nested_deprecated(struct nlattr *tb[], int maxtype, const struct nlattr *nla, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_parse(tb, maxtype, nla_data(nla), nla_len(nla), policy, NL_VALIDATE_LIBERAL, extack);
}

static inline int nla_validate(const struct nlattr *head, int len, int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_validate(head, len, maxtype, policy, NL_VALIDATE_STRICT, extack);
}

static inline int nla_validate_nested(const struct nlattr *start, int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_validate(nla_data(start), nla_len(start), maxtype, policy, NL_VALIDATE_STRICT, extack);
}

static inline int nla_validate_deprecated(const struct nlattr *head, int len, int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_validate(head, len, maxtype, policy, NL_VALIDATE_LIBERAL, extack);
}

static inline int nla_validate_nested_deprecated(const struct nlattr *start, int maxtype, const struct nla_policy *policy, struct netlink_ext_ack *extack)
{
	return __nla_validate(nla_data(start), nla_len(start), maxtype, policy, NL_VALIDATE_LIBERAL, extack);
}

/* Typed values. */

static inline int nla_put_u8(struct sk_buff *skb, int attrtype, u8 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline u8 nla_get_u8(const struct nlattr *nla)
{
	return *(u8 *)nla_data(nla);
}

static inline int nla_put_u16(struct sk_buff *skb, int attrtype, u16 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline u16 nla_get_u16(const struct nlattr *nla)
{
	return *(u16 *)nla_data(nla);
}

static inline int nla_put_u32(struct sk_buff *skb, int attrtype, u32 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline u32 nla_get_u32(const struct nlattr *nla)
{
	return *(u32 *)nla_data(nla);
}

static inline int nla_put_s8(struct sk_buff *skb, int attrtype, s8 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline s8 nla_get_s8(const struct nlattr *nla)
{
	return *(s8 *)nla_data(nla);
}

static inline int nla_put_s16(struct sk_buff *skb, int attrtype, s16 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline s16 nla_get_s16(const struct nlattr *nla)
{
	return *(s16 *)nla_data(nla);
}

static inline int nla_put_s32(struct sk_buff *skb, int attrtype, s32 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline s32 nla_get_s32(const struct nlattr *nla)
{
	return *(s32 *)nla_data(nla);
}

static inline int nla_put_be16(struct sk_buff *skb, int attrtype, __be16 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline __be16 nla_get_be16(const struct nlattr *nla)
{
	return *(__be16 *)nla_data(nla);
}

static inline int nla_put_be32(struct sk_buff *skb, int attrtype, __be32 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline __be32 nla_get_be32(const struct nlattr *nla)
{
	return *(__be32 *)nla_data(nla);
}

static inline int nla_put_le16(struct sk_buff *skb, int attrtype, __le16 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline __le16 nla_get_le16(const struct nlattr *nla)
{
	return *(__le16 *)nla_data(nla);
}

static inline int nla_put_le32(struct sk_buff *skb, int attrtype, __le32 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline __le32 nla_get_le32(const struct nlattr *nla)
{
	return *(__le32 *)nla_data(nla);
}

static inline int nla_put_in_addr(struct sk_buff *skb, int attrtype, __be32 value)
{
	return nla_put(skb, attrtype, sizeof(value), &value);
}

static inline __be32 nla_get_in_addr(const struct nlattr *nla)
{
	return *(__be32 *)nla_data(nla);
}

static inline int nla_put_u64_64bit(struct sk_buff *skb, int attrtype, u64 value, int padattr)
{
	return nla_put_64bit(skb, attrtype, sizeof(value), &value, padattr);
}

static inline u64 nla_get_u64(const struct nlattr *nla)
{
	u64 value;

	nla_memcpy(&value, nla, sizeof(value));
	return value;
}

static inline int nla_put_s64(struct sk_buff *skb, int attrtype, s64 value, int padattr)
{
	return nla_put_64bit(skb, attrtype, sizeof(value), &value, padattr);
}

static inline s64 nla_get_s64(const struct nlattr *nla)
{
	s64 value;

	nla_memcpy(&value, nla, sizeof(value));
	return value;
}

static inline int nla_put_be64(struct sk_buff *skb, int attrtype, __be64 value, int padattr)
{
	return nla_put_64bit(skb, attrtype, sizeof(value), &value, padattr);
}

static inline __be64 nla_get_be64(const struct nlattr *nla)
{
	__be64 value;

	nla_memcpy(&value, nla, sizeof(value));
	return value;
}

static inline int nla_put_le64(struct sk_buff *skb, int attrtype, __le64 value, int padattr)
{
	return nla_put_64bit(skb, attrtype, sizeof(value), &value, padattr);
}

static inline __le64 nla_get_le64(const struct nlattr *nla)
{
	__le64 value;

	nla_memcpy(&value, nla, sizeof(value));
	return value;
}

static inline int nla_put_uint(struct sk_buff *skb, int attrtype, u64 value)
{
	u32 small = value;

	return small == value ? nla_put(skb, attrtype, sizeof(small), &small) : nla_put(skb, attrtype, sizeof(value), &value);
}

static inline u64 nla_get_uint(const struct nlattr *nla)
{
	return nla_len(nla) == sizeof(u32) ? nla_get_u32(nla) : nla_get_u64(nla);
}

static inline int nla_put_sint(struct sk_buff *skb, int attrtype, s64 value)
{
	s32 small = value;

	return small == value ? nla_put(skb, attrtype, sizeof(small), &small) : nla_put(skb, attrtype, sizeof(value), &value);
}

static inline s64 nla_get_sint(const struct nlattr *nla)
{
	return nla_len(nla) == sizeof(s32) ? nla_get_s32(nla) : nla_get_s64(nla);
}

static inline int nla_put_in6_addr(struct sk_buff *skb, int attrtype, const struct in6_addr *addr)
{
	return nla_put(skb, attrtype, sizeof(*addr), addr);
}

static inline int nla_put_string(struct sk_buff *skb, int attrtype, const char *str)
{
	return nla_put(skb, attrtype, strlen(str) + 1, str);
}

static inline int nla_put_flag(struct sk_buff *skb, int attrtype)
{
	return nla_put(skb, attrtype, 0, NULL);
}

static inline int nla_get_flag(const struct nlattr *nla)
{
	return nla != NULL;
}

static inline int nla_put_msecs(struct sk_buff *skb, int attrtype, unsigned long njiffies, int padattr)
{
	return nla_put_u64_64bit(skb, attrtype, jiffies_to_msecs(njiffies), padattr);
}

static inline unsigned long nla_get_msecs(const struct nlattr *nla)
{
	return msecs_to_jiffies((unsigned long)nla_get_u64(nla));
}

/* Nests: an attribute whose length is known when it ends. */

static inline struct nlattr *nla_nest_start_noflag(struct sk_buff *skb, int attrtype)
{
	struct nlattr *start = (struct nlattr *)skb_tail_pointer(skb);

	return nla_put(skb, attrtype, 0, NULL) < 0 ? NULL : start;
}

static inline struct nlattr *nla_nest_start(struct sk_buff *skb, int attrtype)
{
	return nla_nest_start_noflag(skb, attrtype | NLA_F_NESTED);
}

static inline int nla_nest_end(struct sk_buff *skb, struct nlattr *start)
{
	start->nla_len = skb_tail_pointer(skb) - (unsigned char *)start;
	return skb->len;
}

static inline void nla_nest_cancel(struct sk_buff *skb, struct nlattr *start)
{
	nlmsg_trim(skb, start);
}

#endif
