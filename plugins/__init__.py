"""Plugins that come with amiws-gevent (installed as the package ``amiws_plugins``)."""
