"""The SIP user agent core: `agent.Agent`, its `config.AgentConfig` and its `events`."""
