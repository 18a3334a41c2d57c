// SPDX-License-Identifier: GPL-2.0-only
/*
 * A family of generic netlink whose commands are prepared and cleared up after, and whose events go to all namespaces, for
 * tests/surface.rs; and who wants to know of namespaces.
 *
 * Commands: 1 answers with twice the number that it gets, and tells it to the group; 2 does the same with three times, by
 * split operations. The number 13 is refused before the command.
 */
#include <linux/mutex.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include "check.h"

enum { ATTR_NONE, ATTR_NUMBER };
enum { CMD_NONE, CMD_DOUBLE, CMD_TRIPLE };

static struct genl_family family;
static atomic_t prepared = ATOMIC_INIT(0), cleared = ATOMIC_INIT(0), done = ATOMIC_INIT(0);
/* Commands run beside each other: each has its own. */
static struct context {
	u32 number;
	bool used;
} contexts[4];
static DEFINE_MUTEX(contexts_mutex);

static int prepare(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	struct context *context = NULL;

	if (!info->attrs[ATTR_NUMBER])
		return -EINVAL;
	if (nla_get_u32(info->attrs[ATTR_NUMBER]) == 13)
		return -ERANGE;
	CHECK_EQ(ops->cmd, info->genlhdr->cmd);
	mutex_lock(&contexts_mutex);
	for (int i = 0; i < ARRAY_SIZE(contexts) && !context; i++)
		if (!contexts[i].used)
			context = &contexts[i];
	if (context) {
		context->used = true;
		context->number = nla_get_u32(info->attrs[ATTR_NUMBER]);
	}
	mutex_unlock(&contexts_mutex);
	if (!context)
		return -EBUSY;
	info->user_ptr[0] = context;
	atomic_inc(&prepared);
	return 0;
}

static void clear_up(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	struct context *context = info->user_ptr[0];

	mutex_lock(&contexts_mutex);
	CHECK(context && context->used);
	context->used = false;
	mutex_unlock(&contexts_mutex);
	atomic_inc(&cleared);
}

static struct sk_buff *message(u32 portid, u32 seq, u8 cmd, u32 number)
{
	struct sk_buff *skb = genlmsg_new(nla_total_size(sizeof(u32)), GFP_KERNEL);
	void *head;

	if (!skb)
		return NULL;
	head = genlmsg_put(skb, portid, seq, &family, 0, cmd);
	if (!head || nla_put_u32(skb, ATTR_NUMBER, number)) {
		nlmsg_free(skb);
		return NULL;
	}
	genlmsg_end(skb, head);
	return skb;
}

static int multiply(struct genl_info *info, u32 by)
{
	struct context *context = info->user_ptr[0];
	struct sk_buff *reply, *event;
	int err;

	atomic_inc(&done);
	CHECK(atomic_read(&prepared) >= atomic_read(&done));
	reply = message(info->snd_portid, info->snd_seq, info->genlhdr->cmd, context->number * by);
	event = message(0, 0, info->genlhdr->cmd, context->number);
	if (!reply || !event) {
		nlmsg_free(reply);
		nlmsg_free(event);
		return -ENOMEM;
	}
	/* -ESRCH: nobody listens. */
	err = genlmsg_multicast_allns(&family, event, 0, 0);
	CHECK(err == 0 || err == -ESRCH);
	return genlmsg_reply(reply, info);
}

static int do_double(struct sk_buff *skb, struct genl_info *info)
{
	return multiply(info, 2);
}

static int do_triple(struct sk_buff *skb, struct genl_info *info)
{
	return multiply(info, 3);
}

static const struct nla_policy policy[ATTR_NUMBER + 1] = { [ATTR_NUMBER] = { .type = NLA_U32 } };
static const struct genl_ops ops[] = {
	{ .cmd = CMD_DOUBLE, .doit = do_double },
};
static const struct genl_split_ops split_ops[] = {
	{
		.cmd = CMD_TRIPLE,
		.flags = GENL_CMD_CAP_DO,
		.pre_doit = prepare,
		.doit = do_triple,
		.post_doit = clear_up,
		.policy = policy,
		.maxattr = ATTR_NUMBER,
	},
};
static const struct genl_multicast_group groups[] = { { .name = "events" } };

static struct genl_family family = {
	.name = "surface",
	.version = 1,
	.maxattr = ATTR_NUMBER,
	.policy = policy,
	.netnsok = true,
	.parallel_ops = true,
	.pre_doit = prepare,
	.post_doit = clear_up,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.split_ops = split_ops,
	.n_split_ops = ARRAY_SIZE(split_ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
	.module = THIS_MODULE,
};

static int namespaces;

static int __net_init namespace_comes(struct net *net)
{
	CHECK(net_eq(net, &init_net));
	namespaces++;
	return 0;
}

static void __net_exit namespace_goes(struct net *net)
{
	CHECK(net_eq(net, &init_net));
	namespaces--;
}

static struct pernet_operations pernet_ops = { .init = namespace_comes, .exit = namespace_goes };

static int __init netlink_init(void)
{
	struct sk_buff *event;
	int err = register_pernet_device(&pernet_ops);

	if (err)
		return err;
	CHECK_EQ(namespaces, 1);
	err = genl_register_family(&family);
	if (err) {
		unregister_pernet_device(&pernet_ops);
		return err;
	}
	event = message(0, 0, CMD_DOUBLE, 1);
	if (CHECK(event))
		CHECK_EQ(genlmsg_multicast_allns(&family, event, 0, 0), -ESRCH);
	return 0;
}

/* No command is under way any more. */
static void __exit netlink_exit(void)
{
	CHECK_EQ(genl_unregister_family(&family), 0);
	CHECK_EQ(atomic_read(&cleared), atomic_read(&prepared));
	CHECK_EQ(atomic_read(&done), atomic_read(&prepared));
	unregister_pernet_device(&pernet_ops);
	CHECK_EQ(namespaces, 0);
	pr_info("%d commands\n", atomic_read(&done));
}

module_init(netlink_init);
module_exit(netlink_exit);
MODULE_LICENSE("GPL");
