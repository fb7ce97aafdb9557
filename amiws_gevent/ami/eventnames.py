"""The names of the events that Asterisk sends, from 1.8 to 23.

A site may see others beside them, from modules that are not Asterisk's (chan_dongle): a name
that is missing here is unusual, not wrong. Collected from the source of each branch:
``<managerEvent name=…>`` of the documentation in it, ``Event: …``, and the calls of
``manager_event`` and its kin. The spelling is that of the wire.
"""

from __future__ import annotations

_NAMES = """
    AgentCalled AgentComplete AgentConnect AgentDump AgentLogin AgentLogoff
    AgentRingNoAnswer Agents AgentsComplete AGIExec AGIExecEnd AGIExecStart Alarm AlarmClear
    AOC-D AOC-E AOC-S AorDetail AorList AorListComplete AsyncAGI AsyncAGIEnd AsyncAGIExec
    AsyncAGIStart AttendedTransfer AuthDetail AuthList AuthListComplete AuthMethodNotAllowed
    BlindTransfer Bridge BridgeAction BridgeCreate BridgeDestroy BridgeEnter BridgeExec
    BridgeInfoChannel BridgeInfoComplete BridgeLeave BridgeListComplete BridgeListItem
    BridgeMerge BridgeTechnologyListComplete BridgeTechnologyListItem
    BridgeVideoSourceUpdate CCAvailable CCCallerRecalling CCCallerStartMonitoring
    CCCallerStopMonitoring CCFailure CCMonitorFailed CCOfferTimerStart CCRecallComplete
    CCRequestAcknowledged CCRequested Cdr CEL ChallengeResponseFailed ChallengeSent
    ChannelHungup ChannelReload ChannelsHungupListComplete ChannelTalkingStart
    ChannelTalkingStop ChannelUpdate ChanSpyStart ChanSpyStop CloseSession ConfbridgeEnd
    ConfbridgeJoin ConfbridgeLeave ConfbridgeList ConfbridgeListComplete ConfbridgeListRooms
    ConfbridgeListRoomsComplete ConfbridgeMute ConfbridgeRecord ConfbridgeStart
    ConfbridgeStopRecord ConfbridgeTalking ConfbridgeUnmute ContactList ContactListComplete
    ContactStatus ContactStatusDetail ContactStatusDetailComplete CoreShowChannel
    CoreShowChannelMap CoreShowChannelMapComplete CoreShowChannelsComplete DAHDIChannel
    DAHDIShowChannels DAHDIShowChannelsComplete DAHDIShowStatus DAHDIShowStatusComplete
    DataGet DBGetComplete DBGetResponse DBGetTreeComplete DBGetTreeResponse DeadlockStart
    DeviceEntry DevicelistComplete DeviceStateChange DeviceStateListComplete Dial DialBegin
    DialEnd DialState DNDState DTMF DTMFBegin DTMFEnd EndpointDetail EndpointDetailComplete
    EndpointList EndpointListComplete ExtensionStateListComplete ExtensionStatus FailedACL
    FaxReceived FaxSent FAXSession FAXSessionsComplete FAXSessionsEntry FAXStats FAXStatus
    Flash FullyBooted Hangup HangupHandlerPop HangupHandlerPush HangupHandlerRun
    HangupRequest Hold IdentifyDetail InboundRegistrationDetail
    InboundRegistrationDetailComplete InboundSubscriptionDetail
    InboundSubscriptionDetailComplete InvalidAccountID InvalidPassword InvalidTransport
    JabberEvent JabberStatus JitterBufStats Join Leave LineEntry LinelistComplete
    ListDialplan Load LoadAverageLimit LocalBridge LocalOptimizationBegin
    LocalOptimizationEnd LogChannel Masquerade MCID MeetmeEnd MeetmeJoin MeetmeLeave
    MeetmeList MeetmeListComplete MeetmeListRooms MeetmeListRoomsComplete MeetmeMute
    MeetmeTalking MeetmeTalkRequest MemoryLimit MessageWaiting MiniVoiceMail MixMonitorMute
    MixMonitorStart MixMonitorStop MobileStatus ModuleLoadReport MonitorStart MonitorStop
    MusicOnHold MusicOnHoldStart MusicOnHoldStop MWIGet MWIGetComplete NewAccountCode
    NewCallerid Newchannel NewConnectedLine Newexten NewPeerAccount Newstate
    OriginateResponse OutboundRegistrationDetail OutboundRegistrationDetailComplete
    OutboundSubscriptionDetail OutboundSubscriptionDetailComplete ParkedCall
    ParkedCallGiveUp ParkedCallsComplete ParkedCallSwap ParkedCallTimeOut Parkinglot
    ParkinglotsComplete PeerEntry PeerlistComplete PeerStatus Pickup PJSIPMaintenanceStatus
    PJSIPMaintenanceStatusComplete PresenceStateChange PresenceStateListComplete
    PresenceStatus PRIShowSpans PRIShowSpansComplete QueueCallerAbandon QueueCallerJoin
    QueueCallerLeave QueueEntry QueueMember QueueMemberAdded QueueMemberPause
    QueueMemberPaused QueueMemberPenalty QueueMemberRemoved QueueMemberRinginuse
    QueueMemberStatus QueueParams QueueStatusComplete QueueSummary QueueSummaryComplete
    ReceiveFAX ReceiveFAXStatus RegistrationsComplete Registry RegistryEntry Reload Rename
    RequestBadFormat RequestNotAllowed RequestNotSupported ResourceListDetail
    ResourceListDetailComplete RTCPReceived RTCPSent SendFAX SendFAXStatus SessionLimit
    SessionTimeout ShowDialPlanComplete Shutdown SIPpeerstatusComplete SIPQualifyPeerDone
    SoftHangupRequest SpanAlarm SpanAlarmClear Status StatusComplete SuccessfulAuth
    TestEvent Transfer TransportDetail UnexpectedAddress Unhold Unlink Unload UnParkedCall
    UserEvent VarSet VoicemailBoxDetail VoicemailBoxDetailComplete VoicemailPasswordChange
    VoicemailUserDetail VoicemailUserDetailComplete VoicemailUserEntry
    VoicemailUserEntryComplete WaitEventComplete Wink
"""

EVENT_NAMES = tuple(_NAMES.split())
