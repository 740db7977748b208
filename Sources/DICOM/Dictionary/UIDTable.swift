// Made by Tools/generate-dictionary; change that, not this.
// swift-format-ignore-file

/// The UIDs of PS3.6 annex A, after pydicom 3.0.2: UID, kind, keyword, name.
/// Kinds: S storage SOP class, C other SOP class, M meta SOP class, T transfer syntax;
/// ! if retired.
let uidTable: StaticString = """
  1.2.840.10008.1.1 C Verification Verification SOP Class
  1.2.840.10008.1.2 T ImplicitVRLittleEndian Implicit VR Little Endian
  1.2.840.10008.1.2.1 T ExplicitVRLittleEndian Explicit VR Little Endian
  1.2.840.10008.1.2.1.98 T EncapsulatedUncompressedExplicitVRLittleEndian Encapsulated Uncompressed Explicit VR Little Endian
  1.2.840.10008.1.2.1.99 T DeflatedExplicitVRLittleEndian Deflated Explicit VR Little Endian
  1.2.840.10008.1.2.2 T! ExplicitVRBigEndian Explicit VR Big Endian
  1.2.840.10008.1.2.4.100 T MPEG2MPML MPEG2 Main Profile / Main Level
  1.2.840.10008.1.2.4.100.1 T MPEG2MPMLF Fragmentable MPEG2 Main Profile / Main Level
  1.2.840.10008.1.2.4.101 T MPEG2MPHL MPEG2 Main Profile / High Level
  1.2.840.10008.1.2.4.101.1 T MPEG2MPHLF Fragmentable MPEG2 Main Profile / High Level
  1.2.840.10008.1.2.4.102 T MPEG4HP41 MPEG-4 AVC/H.264 High Profile / Level 4.1
  1.2.840.10008.1.2.4.102.1 T MPEG4HP41F Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1
  1.2.840.10008.1.2.4.103 T MPEG4HP41BD MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1
  1.2.840.10008.1.2.4.103.1 T MPEG4HP41BDF Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1
  1.2.840.10008.1.2.4.104 T MPEG4HP422D MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video
  1.2.840.10008.1.2.4.104.1 T MPEG4HP422DF Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video
  1.2.840.10008.1.2.4.105 T MPEG4HP423D MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video
  1.2.840.10008.1.2.4.105.1 T MPEG4HP423DF Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video
  1.2.840.10008.1.2.4.106 T MPEG4HP42STEREO MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2
  1.2.840.10008.1.2.4.106.1 T MPEG4HP42STEREOF Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2
  1.2.840.10008.1.2.4.107 T HEVCMP51 HEVC/H.265 Main Profile / Level 5.1
  1.2.840.10008.1.2.4.108 T HEVCM10P51 HEVC/H.265 Main 10 Profile / Level 5.1
  1.2.840.10008.1.2.4.110 T JPEGXLLossless JPEG XL Lossless
  1.2.840.10008.1.2.4.111 T JPEGXLJPEGRecompression JPEG XL JPEG Recompression
  1.2.840.10008.1.2.4.112 T JPEGXL JPEG XL
  1.2.840.10008.1.2.4.201 T HTJ2KLossless High-Throughput JPEG 2000 Image Compression (Lossless Only)
  1.2.840.10008.1.2.4.202 T HTJ2KLosslessRPCL High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)
  1.2.840.10008.1.2.4.203 T HTJ2K High-Throughput JPEG 2000 Image Compression
  1.2.840.10008.1.2.4.204 T JPIPHTJ2KReferenced JPIP HTJ2K Referenced
  1.2.840.10008.1.2.4.205 T JPIPHTJ2KReferencedDeflate JPIP HTJ2K Referenced Deflate
  1.2.840.10008.1.2.4.50 T JPEGBaseline8Bit JPEG Baseline (Process 1)
  1.2.840.10008.1.2.4.51 T JPEGExtended12Bit JPEG Extended (Process 2 and 4)
  1.2.840.10008.1.2.4.52 T! JPEGExtended35 JPEG Extended (Process 3 and 5)
  1.2.840.10008.1.2.4.53 T! JPEGSpectralSelectionNonHierarchical68 JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)
  1.2.840.10008.1.2.4.54 T! JPEGSpectralSelectionNonHierarchical79 JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)
  1.2.840.10008.1.2.4.55 T! JPEGFullProgressionNonHierarchical1012 JPEG Full Progression, Non-Hierarchical (Process 10 and 12)
  1.2.840.10008.1.2.4.56 T! JPEGFullProgressionNonHierarchical1113 JPEG Full Progression, Non-Hierarchical (Process 11 and 13)
  1.2.840.10008.1.2.4.57 T JPEGLossless JPEG Lossless, Non-Hierarchical (Process 14)
  1.2.840.10008.1.2.4.58 T! JPEGLosslessNonHierarchical15 JPEG Lossless, Non-Hierarchical (Process 15)
  1.2.840.10008.1.2.4.59 T! JPEGExtendedHierarchical1618 JPEG Extended, Hierarchical (Process 16 and 18)
  1.2.840.10008.1.2.4.60 T! JPEGExtendedHierarchical1719 JPEG Extended, Hierarchical (Process 17 and 19)
  1.2.840.10008.1.2.4.61 T! JPEGSpectralSelectionHierarchical2022 JPEG Spectral Selection, Hierarchical (Process 20 and 22)
  1.2.840.10008.1.2.4.62 T! JPEGSpectralSelectionHierarchical2123 JPEG Spectral Selection, Hierarchical (Process 21 and 23)
  1.2.840.10008.1.2.4.63 T! JPEGFullProgressionHierarchical2426 JPEG Full Progression, Hierarchical (Process 24 and 26)
  1.2.840.10008.1.2.4.64 T! JPEGFullProgressionHierarchical2527 JPEG Full Progression, Hierarchical (Process 25 and 27)
  1.2.840.10008.1.2.4.65 T! JPEGLosslessHierarchical28 JPEG Lossless, Hierarchical (Process 28)
  1.2.840.10008.1.2.4.66 T! JPEGLosslessHierarchical29 JPEG Lossless, Hierarchical (Process 29)
  1.2.840.10008.1.2.4.70 T JPEGLosslessSV1 JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])
  1.2.840.10008.1.2.4.80 T JPEGLSLossless JPEG-LS Lossless Image Compression
  1.2.840.10008.1.2.4.81 T JPEGLSNearLossless JPEG-LS Lossy (Near-Lossless) Image Compression
  1.2.840.10008.1.2.4.90 T JPEG2000Lossless JPEG 2000 Image Compression (Lossless Only)
  1.2.840.10008.1.2.4.91 T JPEG2000 JPEG 2000 Image Compression
  1.2.840.10008.1.2.4.92 T JPEG2000MCLossless JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)
  1.2.840.10008.1.2.4.93 T JPEG2000MC JPEG 2000 Part 2 Multi-component Image Compression
  1.2.840.10008.1.2.4.94 T JPIPReferenced JPIP Referenced
  1.2.840.10008.1.2.4.95 T JPIPReferencedDeflate JPIP Referenced Deflate
  1.2.840.10008.1.2.5 T RLELossless RLE Lossless
  1.2.840.10008.1.2.6.1 T! RFC2557MIMEEncapsulation RFC 2557 MIME encapsulation
  1.2.840.10008.1.2.6.2 T! XMLEncoding XML Encoding
  1.2.840.10008.1.2.7.1 T SMPTEST211020UncompressedProgressiveActiveVideo SMPTE ST 2110-20 Uncompressed Progressive Active Video
  1.2.840.10008.1.2.7.2 T SMPTEST211020UncompressedInterlacedActiveVideo SMPTE ST 2110-20 Uncompressed Interlaced Active Video
  1.2.840.10008.1.2.7.3 T SMPTEST211030PCMDigitalAudio SMPTE ST 2110-30 PCM Digital Audio
  1.2.840.10008.1.2.8.1 T DeflatedImageFrameCompression Deflated Image Frame Compression
  1.2.840.10008.1.20 T! Papyrus3ImplicitVRLittleEndian Papyrus 3 Implicit VR Little Endian
  1.2.840.10008.1.20.1 C StorageCommitmentPushModel Storage Commitment Push Model SOP Class
  1.2.840.10008.1.20.1.1 - StorageCommitmentPushModelInstance Storage Commitment Push Model SOP Instance
  1.2.840.10008.1.20.2 C! StorageCommitmentPullModel Storage Commitment Pull Model SOP Class
  1.2.840.10008.1.20.2.1 -! StorageCommitmentPullModelInstance Storage Commitment Pull Model SOP Instance
  1.2.840.10008.1.3.10 C MediaStorageDirectoryStorage Media Storage Directory Storage
  1.2.840.10008.1.4.1.1 - TalairachBrainAtlas Talairach Brain Atlas Frame of Reference
  1.2.840.10008.1.4.1.10 - SPM2GRAY SPM2 GRAY Frame of Reference
  1.2.840.10008.1.4.1.11 - SPM2WHITE SPM2 WHITE Frame of Reference
  1.2.840.10008.1.4.1.12 - SPM2CSF SPM2 CSF Frame of Reference
  1.2.840.10008.1.4.1.13 - SPM2BRAINMASK SPM2 BRAINMASK Frame of Reference
  1.2.840.10008.1.4.1.14 - SPM2AVG305T1 SPM2 AVG305T1 Frame of Reference
  1.2.840.10008.1.4.1.15 - SPM2AVG152T1 SPM2 AVG152T1 Frame of Reference
  1.2.840.10008.1.4.1.16 - SPM2AVG152T2 SPM2 AVG152T2 Frame of Reference
  1.2.840.10008.1.4.1.17 - SPM2AVG152PD SPM2 AVG152PD Frame of Reference
  1.2.840.10008.1.4.1.18 - SPM2SINGLESUBJT1 SPM2 SINGLESUBJT1 Frame of Reference
  1.2.840.10008.1.4.1.2 - SPM2T1 SPM2 T1 Frame of Reference
  1.2.840.10008.1.4.1.3 - SPM2T2 SPM2 T2 Frame of Reference
  1.2.840.10008.1.4.1.4 - SPM2PD SPM2 PD Frame of Reference
  1.2.840.10008.1.4.1.5 - SPM2EPI SPM2 EPI Frame of Reference
  1.2.840.10008.1.4.1.6 - SPM2FILT1 SPM2 FIL T1 Frame of Reference
  1.2.840.10008.1.4.1.7 - SPM2PET SPM2 PET Frame of Reference
  1.2.840.10008.1.4.1.8 - SPM2TRANSM SPM2 TRANSM Frame of Reference
  1.2.840.10008.1.4.1.9 - SPM2SPECT SPM2 SPECT Frame of Reference
  1.2.840.10008.1.4.2.1 - ICBM452T1 ICBM 452 T1 Frame of Reference
  1.2.840.10008.1.4.2.2 - ICBMSingleSubjectMRI ICBM Single Subject MRI Frame of Reference
  1.2.840.10008.1.4.3.1 - IEC61217FixedCoordinateSystem IEC 61217 Fixed Coordinate System Frame of Reference
  1.2.840.10008.1.4.3.2 - StandardRoboticArmCoordinateSystem Standard Robotic-Arm Coordinate System Frame of Reference
  1.2.840.10008.1.4.3.3 - IEC61217TableTopCoordinateSystem IEC 61217 Table Top Coordinate System Frame of Reference
  1.2.840.10008.1.4.4.1 - SRI24 SRI24 Frame of Reference
  1.2.840.10008.1.4.5.1 - Colin27 Colin27 Frame of Reference
  1.2.840.10008.1.4.6.1 - LPBA40AIR LPBA40/AIR Frame of Reference
  1.2.840.10008.1.4.6.2 - LPBA40FLIRT LPBA40/FLIRT Frame of Reference
  1.2.840.10008.1.4.6.3 - LPBA40SPM5 LPBA40/SPM5 Frame of Reference
  1.2.840.10008.1.40 C ProceduralEventLogging Procedural Event Logging SOP Class
  1.2.840.10008.1.40.1 - ProceduralEventLoggingInstance Procedural Event Logging SOP Instance
  1.2.840.10008.1.42 C SubstanceAdministrationLogging Substance Administration Logging SOP Class
  1.2.840.10008.1.42.1 - SubstanceAdministrationLoggingInstance Substance Administration Logging SOP Instance
  1.2.840.10008.1.5.1 - HotIronPalette Hot Iron Color Palette SOP Instance
  1.2.840.10008.1.5.2 - PETPalette PET Color Palette SOP Instance
  1.2.840.10008.1.5.3 - HotMetalBluePalette Hot Metal Blue Color Palette SOP Instance
  1.2.840.10008.1.5.4 - PET20StepPalette PET 20 Step Color Palette SOP Instance
  1.2.840.10008.1.5.5 - SpringPalette Spring Color Palette SOP Instance
  1.2.840.10008.1.5.6 - SummerPalette Summer Color Palette SOP Instance
  1.2.840.10008.1.5.7 - FallPalette Fall Color Palette SOP Instance
  1.2.840.10008.1.5.8 - WinterPalette Winter Color Palette SOP Instance
  1.2.840.10008.1.9 C! BasicStudyContentNotification Basic Study Content Notification SOP Class
  1.2.840.10008.10.1 C VideoEndoscopicImageRealTimeCommunication Video Endoscopic Image Real-Time Communication
  1.2.840.10008.10.2 C VideoPhotographicImageRealTimeCommunication Video Photographic Image Real-Time Communication
  1.2.840.10008.10.3 C AudioWaveformRealTimeCommunication Audio Waveform Real-Time Communication
  1.2.840.10008.10.4 C RenditionSelectionDocumentRealTimeCommunication Rendition Selection Document Real-Time Communication
  1.2.840.10008.15.0.3.1 - dicomDeviceName dicomDeviceName
  1.2.840.10008.15.0.3.10 - dicomAssociationInitiator dicomAssociationInitiator
  1.2.840.10008.15.0.3.11 - dicomAssociationAcceptor dicomAssociationAcceptor
  1.2.840.10008.15.0.3.12 - dicomHostname dicomHostname
  1.2.840.10008.15.0.3.13 - dicomPort dicomPort
  1.2.840.10008.15.0.3.14 - dicomSOPClass dicomSOPClass
  1.2.840.10008.15.0.3.15 - dicomTransferRole dicomTransferRole
  1.2.840.10008.15.0.3.16 - dicomTransferSyntax dicomTransferSyntax
  1.2.840.10008.15.0.3.17 - dicomPrimaryDeviceType dicomPrimaryDeviceType
  1.2.840.10008.15.0.3.18 - dicomRelatedDeviceReference dicomRelatedDeviceReference
  1.2.840.10008.15.0.3.19 - dicomPreferredCalledAETitle dicomPreferredCalledAETitle
  1.2.840.10008.15.0.3.2 - dicomDescription dicomDescription
  1.2.840.10008.15.0.3.20 - dicomTLSCyphersuite dicomTLSCyphersuite
  1.2.840.10008.15.0.3.21 - dicomAuthorizedNodeCertificateReference dicomAuthorizedNodeCertificateReference
  1.2.840.10008.15.0.3.22 - dicomThisNodeCertificateReference dicomThisNodeCertificateReference
  1.2.840.10008.15.0.3.23 - dicomInstalled dicomInstalled
  1.2.840.10008.15.0.3.24 - dicomStationName dicomStationName
  1.2.840.10008.15.0.3.25 - dicomDeviceSerialNumber dicomDeviceSerialNumber
  1.2.840.10008.15.0.3.26 - dicomInstitutionName dicomInstitutionName
  1.2.840.10008.15.0.3.27 - dicomInstitutionAddress dicomInstitutionAddress
  1.2.840.10008.15.0.3.28 - dicomInstitutionDepartmentName dicomInstitutionDepartmentName
  1.2.840.10008.15.0.3.29 - dicomIssuerOfPatientID dicomIssuerOfPatientID
  1.2.840.10008.15.0.3.3 - dicomManufacturer dicomManufacturer
  1.2.840.10008.15.0.3.30 - dicomPreferredCallingAETitle dicomPreferredCallingAETitle
  1.2.840.10008.15.0.3.31 - dicomSupportedCharacterSet dicomSupportedCharacterSet
  1.2.840.10008.15.0.3.4 - dicomManufacturerModelName dicomManufacturerModelName
  1.2.840.10008.15.0.3.5 - dicomSoftwareVersion dicomSoftwareVersion
  1.2.840.10008.15.0.3.6 - dicomVendorData dicomVendorData
  1.2.840.10008.15.0.3.7 - dicomAETitle dicomAETitle
  1.2.840.10008.15.0.3.8 - dicomNetworkConnectionReference dicomNetworkConnectionReference
  1.2.840.10008.15.0.3.9 - dicomApplicationCluster dicomApplicationCluster
  1.2.840.10008.15.0.4.1 - dicomConfigurationRoot dicomConfigurationRoot
  1.2.840.10008.15.0.4.2 - dicomDevicesRoot dicomDevicesRoot
  1.2.840.10008.15.0.4.3 - dicomUniqueAETitlesRegistryRoot dicomUniqueAETitlesRegistryRoot
  1.2.840.10008.15.0.4.4 - dicomDevice dicomDevice
  1.2.840.10008.15.0.4.5 - dicomNetworkAE dicomNetworkAE
  1.2.840.10008.15.0.4.6 - dicomNetworkConnection dicomNetworkConnection
  1.2.840.10008.15.0.4.7 - dicomUniqueAETitle dicomUniqueAETitle
  1.2.840.10008.15.0.4.8 - dicomTransferCapability dicomTransferCapability
  1.2.840.10008.15.1.1 - UTC Universal Coordinated Time
  1.2.840.10008.2.16.10 - DC Dublin Core
  1.2.840.10008.2.16.11 - NYUMCCG New York University Melanoma Clinical Cooperative Group
  1.2.840.10008.2.16.12 - MAYONRISBSASRG Mayo Clinic Non-radiological Images Specific Body Structure Anatomical Surface Region Guide
  1.2.840.10008.2.16.13 - IBSI Image Biomarker Standardisation Initiative
  1.2.840.10008.2.16.14 - RO Radiomics Ontology
  1.2.840.10008.2.16.15 - RADELEMENT RadElement
  1.2.840.10008.2.16.16 - I11 ICD-11
  1.2.840.10008.2.16.17 - UNS Unified numbering system (UNS) for metals and alloys
  1.2.840.10008.2.16.18 - RRID Research Resource Identification
  1.2.840.10008.2.16.4 - DCM DICOM Controlled Terminology
  1.2.840.10008.2.16.5 - MA Adult Mouse Anatomy Ontology
  1.2.840.10008.2.16.6 - UBERON Uberon Ontology
  1.2.840.10008.2.16.7 - ITIS_TSN Integrated Taxonomic Information System (ITIS) Taxonomic Serial Number (TSN)
  1.2.840.10008.2.16.8 - MGI Mouse Genome Initiative (MGI)
  1.2.840.10008.2.16.9 - PUBCHEM_CID PubChem Compound CID
  1.2.840.10008.2.6.1 - DCMUID DICOM UID Registry
  1.2.840.10008.3.1.1.1 - DICOMApplicationContext DICOM Application Context Name
  1.2.840.10008.3.1.2.1.1 C! DetachedPatientManagement Detached Patient Management SOP Class
  1.2.840.10008.3.1.2.1.4 M! DetachedPatientManagementMeta Detached Patient Management Meta SOP Class
  1.2.840.10008.3.1.2.2.1 C! DetachedVisitManagement Detached Visit Management SOP Class
  1.2.840.10008.3.1.2.3.1 C! DetachedStudyManagement Detached Study Management SOP Class
  1.2.840.10008.3.1.2.3.2 C! StudyComponentManagement Study Component Management SOP Class
  1.2.840.10008.3.1.2.3.3 C ModalityPerformedProcedureStep Modality Performed Procedure Step SOP Class
  1.2.840.10008.3.1.2.3.4 C ModalityPerformedProcedureStepRetrieve Modality Performed Procedure Step Retrieve SOP Class
  1.2.840.10008.3.1.2.3.5 C ModalityPerformedProcedureStepNotification Modality Performed Procedure Step Notification SOP Class
  1.2.840.10008.3.1.2.5.1 C! DetachedResultsManagement Detached Results Management SOP Class
  1.2.840.10008.3.1.2.5.4 M! DetachedResultsManagementMeta Detached Results Management Meta SOP Class
  1.2.840.10008.3.1.2.5.5 M! DetachedStudyManagementMeta Detached Study Management Meta SOP Class
  1.2.840.10008.3.1.2.6.1 C! DetachedInterpretationManagement Detached Interpretation Management SOP Class
  1.2.840.10008.4.2 - Storage Storage Service Class
  1.2.840.10008.5.1.1.1 C BasicFilmSession Basic Film Session SOP Class
  1.2.840.10008.5.1.1.14 C PrintJob Print Job SOP Class
  1.2.840.10008.5.1.1.15 C BasicAnnotationBox Basic Annotation Box SOP Class
  1.2.840.10008.5.1.1.16 C Printer Printer SOP Class
  1.2.840.10008.5.1.1.16.376 C PrinterConfigurationRetrieval Printer Configuration Retrieval SOP Class
  1.2.840.10008.5.1.1.17 - PrinterInstance Printer SOP Instance
  1.2.840.10008.5.1.1.17.376 - PrinterConfigurationRetrievalInstance Printer Configuration Retrieval SOP Instance
  1.2.840.10008.5.1.1.18 M BasicColorPrintManagementMeta Basic Color Print Management Meta SOP Class
  1.2.840.10008.5.1.1.18.1 M! ReferencedColorPrintManagementMeta Referenced Color Print Management Meta SOP Class
  1.2.840.10008.5.1.1.2 C BasicFilmBox Basic Film Box SOP Class
  1.2.840.10008.5.1.1.22 C VOILUTBox VOI LUT Box SOP Class
  1.2.840.10008.5.1.1.23 C PresentationLUT Presentation LUT SOP Class
  1.2.840.10008.5.1.1.24 C! ImageOverlayBox Image Overlay Box SOP Class
  1.2.840.10008.5.1.1.24.1 C! BasicPrintImageOverlayBox Basic Print Image Overlay Box SOP Class
  1.2.840.10008.5.1.1.25 -! PrintQueueInstance Print Queue SOP Instance
  1.2.840.10008.5.1.1.26 C! PrintQueueManagement Print Queue Management SOP Class
  1.2.840.10008.5.1.1.27 C! StoredPrintStorage Stored Print Storage SOP Class
  1.2.840.10008.5.1.1.29 C! HardcopyGrayscaleImageStorage Hardcopy Grayscale Image Storage SOP Class
  1.2.840.10008.5.1.1.30 C! HardcopyColorImageStorage Hardcopy Color Image Storage SOP Class
  1.2.840.10008.5.1.1.31 C! PullPrintRequest Pull Print Request SOP Class
  1.2.840.10008.5.1.1.32 M! PullStoredPrintManagementMeta Pull Stored Print Management Meta SOP Class
  1.2.840.10008.5.1.1.33 C MediaCreationManagement Media Creation Management SOP Class UID
  1.2.840.10008.5.1.1.4 C BasicGrayscaleImageBox Basic Grayscale Image Box SOP Class
  1.2.840.10008.5.1.1.4.1 C BasicColorImageBox Basic Color Image Box SOP Class
  1.2.840.10008.5.1.1.4.2 C! ReferencedImageBox Referenced Image Box SOP Class
  1.2.840.10008.5.1.1.40 C DisplaySystem Display System SOP Class
  1.2.840.10008.5.1.1.40.1 - DisplaySystemInstance Display System SOP Instance
  1.2.840.10008.5.1.1.9 M BasicGrayscalePrintManagementMeta Basic Grayscale Print Management Meta SOP Class
  1.2.840.10008.5.1.1.9.1 M! ReferencedGrayscalePrintManagementMeta Referenced Grayscale Print Management Meta SOP Class
  1.2.840.10008.5.1.4.1.1.1 S ComputedRadiographyImageStorage Computed Radiography Image Storage
  1.2.840.10008.5.1.4.1.1.1.1 S DigitalXRayImageStorageForPresentation Digital X-Ray Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.1.1.1 S DigitalXRayImageStorageForProcessing Digital X-Ray Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.1.2 S DigitalMammographyXRayImageStorageForPresentation Digital Mammography X-Ray Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.1.2.1 S DigitalMammographyXRayImageStorageForProcessing Digital Mammography X-Ray Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.1.3 S DigitalIntraOralXRayImageStorageForPresentation Digital Intra-Oral X-Ray Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.1.3.1 S DigitalIntraOralXRayImageStorageForProcessing Digital Intra-Oral X-Ray Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.10 S! StandaloneModalityLUTStorage Standalone Modality LUT Storage
  1.2.840.10008.5.1.4.1.1.104.1 S EncapsulatedPDFStorage Encapsulated PDF Storage
  1.2.840.10008.5.1.4.1.1.104.2 S EncapsulatedCDAStorage Encapsulated CDA Storage
  1.2.840.10008.5.1.4.1.1.104.3 S EncapsulatedSTLStorage Encapsulated STL Storage
  1.2.840.10008.5.1.4.1.1.104.4 S EncapsulatedOBJStorage Encapsulated OBJ Storage
  1.2.840.10008.5.1.4.1.1.104.5 S EncapsulatedMTLStorage Encapsulated MTL Storage
  1.2.840.10008.5.1.4.1.1.11 S! StandaloneVOILUTStorage Standalone VOI LUT Storage
  1.2.840.10008.5.1.4.1.1.11.1 S GrayscaleSoftcopyPresentationStateStorage Grayscale Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.10 S SegmentedVolumeRenderingVolumetricPresentationStateStorage Segmented Volume Rendering Volumetric Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.11 S MultipleVolumeRenderingVolumetricPresentationStateStorage Multiple Volume Rendering Volumetric Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.12 S VariableModalityLUTSoftcopyPresentationStateStorage Variable Modality LUT Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.2 S ColorSoftcopyPresentationStateStorage Color Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.3 S PseudoColorSoftcopyPresentationStateStorage Pseudo-Color Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.4 S BlendingSoftcopyPresentationStateStorage Blending Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.5 S XAXRFGrayscaleSoftcopyPresentationStateStorage XA/XRF Grayscale Softcopy Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.6 S GrayscalePlanarMPRVolumetricPresentationStateStorage Grayscale Planar MPR Volumetric Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.7 S CompositingPlanarMPRVolumetricPresentationStateStorage Compositing Planar MPR Volumetric Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.8 S AdvancedBlendingPresentationStateStorage Advanced Blending Presentation State Storage
  1.2.840.10008.5.1.4.1.1.11.9 S VolumeRenderingVolumetricPresentationStateStorage Volume Rendering Volumetric Presentation State Storage
  1.2.840.10008.5.1.4.1.1.12.1 S XRayAngiographicImageStorage X-Ray Angiographic Image Storage
  1.2.840.10008.5.1.4.1.1.12.1.1 S EnhancedXAImageStorage Enhanced XA Image Storage
  1.2.840.10008.5.1.4.1.1.12.2 S XRayRadiofluoroscopicImageStorage X-Ray Radiofluoroscopic Image Storage
  1.2.840.10008.5.1.4.1.1.12.2.1 S EnhancedXRFImageStorage Enhanced XRF Image Storage
  1.2.840.10008.5.1.4.1.1.12.3 S! XRayAngiographicBiPlaneImageStorage X-Ray Angiographic Bi-Plane Image Storage
  1.2.840.10008.5.1.4.1.1.128 S PositronEmissionTomographyImageStorage Positron Emission Tomography Image Storage
  1.2.840.10008.5.1.4.1.1.128.1 S LegacyConvertedEnhancedPETImageStorage Legacy Converted Enhanced PET Image Storage
  1.2.840.10008.5.1.4.1.1.129 S! StandalonePETCurveStorage Standalone PET Curve Storage
  1.2.840.10008.5.1.4.1.1.13.1.1 S XRay3DAngiographicImageStorage X-Ray 3D Angiographic Image Storage
  1.2.840.10008.5.1.4.1.1.13.1.2 S XRay3DCraniofacialImageStorage X-Ray 3D Craniofacial Image Storage
  1.2.840.10008.5.1.4.1.1.13.1.3 S BreastTomosynthesisImageStorage Breast Tomosynthesis Image Storage
  1.2.840.10008.5.1.4.1.1.13.1.4 S BreastProjectionXRayImageStorageForPresentation Breast Projection X-Ray Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.13.1.5 S BreastProjectionXRayImageStorageForProcessing Breast Projection X-Ray Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.130 S EnhancedPETImageStorage Enhanced PET Image Storage
  1.2.840.10008.5.1.4.1.1.131 S BasicStructuredDisplayStorage Basic Structured Display Storage
  1.2.840.10008.5.1.4.1.1.14.1 S IntravascularOpticalCoherenceTomographyImageStorageForPresentation Intravascular Optical Coherence Tomography Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.14.2 S IntravascularOpticalCoherenceTomographyImageStorageForProcessing Intravascular Optical Coherence Tomography Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.2 S CTImageStorage CT Image Storage
  1.2.840.10008.5.1.4.1.1.2.1 S EnhancedCTImageStorage Enhanced CT Image Storage
  1.2.840.10008.5.1.4.1.1.2.2 S LegacyConvertedEnhancedCTImageStorage Legacy Converted Enhanced CT Image Storage
  1.2.840.10008.5.1.4.1.1.20 S NuclearMedicineImageStorage Nuclear Medicine Image Storage
  1.2.840.10008.5.1.4.1.1.200.1 C CTDefinedProcedureProtocolStorage CT Defined Procedure Protocol Storage
  1.2.840.10008.5.1.4.1.1.200.2 S CTPerformedProcedureProtocolStorage CT Performed Procedure Protocol Storage
  1.2.840.10008.5.1.4.1.1.200.3 C ProtocolApprovalStorage Protocol Approval Storage
  1.2.840.10008.5.1.4.1.1.200.4 C ProtocolApprovalInformationModelFind Protocol Approval Information Model - FIND
  1.2.840.10008.5.1.4.1.1.200.5 C ProtocolApprovalInformationModelMove Protocol Approval Information Model - MOVE
  1.2.840.10008.5.1.4.1.1.200.6 C ProtocolApprovalInformationModelGet Protocol Approval Information Model - GET
  1.2.840.10008.5.1.4.1.1.200.7 C XADefinedProcedureProtocolStorage XA Defined Procedure Protocol Storage
  1.2.840.10008.5.1.4.1.1.200.8 S XAPerformedProcedureProtocolStorage XA Performed Procedure Protocol Storage
  1.2.840.10008.5.1.4.1.1.201.1 C InventoryStorage Inventory Storage
  1.2.840.10008.5.1.4.1.1.201.1.1 - StorageManagementInstance Storage Management SOP Instance
  1.2.840.10008.5.1.4.1.1.201.2 C InventoryFind Inventory - FIND
  1.2.840.10008.5.1.4.1.1.201.3 C InventoryMove Inventory - MOVE
  1.2.840.10008.5.1.4.1.1.201.4 C InventoryGet Inventory - GET
  1.2.840.10008.5.1.4.1.1.201.5 C InventoryCreation Inventory Creation
  1.2.840.10008.5.1.4.1.1.201.6 C RepositoryQuery Repository Query
  1.2.840.10008.5.1.4.1.1.3 S! UltrasoundMultiFrameImageStorageRetired Ultrasound Multi-frame Image Storage
  1.2.840.10008.5.1.4.1.1.3.1 S UltrasoundMultiFrameImageStorage Ultrasound Multi-frame Image Storage
  1.2.840.10008.5.1.4.1.1.30 S ParametricMapStorage Parametric Map Storage
  1.2.840.10008.5.1.4.1.1.4 S MRImageStorage MR Image Storage
  1.2.840.10008.5.1.4.1.1.4.1 S EnhancedMRImageStorage Enhanced MR Image Storage
  1.2.840.10008.5.1.4.1.1.4.2 S MRSpectroscopyStorage MR Spectroscopy Storage
  1.2.840.10008.5.1.4.1.1.4.3 S EnhancedMRColorImageStorage Enhanced MR Color Image Storage
  1.2.840.10008.5.1.4.1.1.4.4 S LegacyConvertedEnhancedMRImageStorage Legacy Converted Enhanced MR Image Storage
  1.2.840.10008.5.1.4.1.1.481.1 S RTImageStorage RT Image Storage
  1.2.840.10008.5.1.4.1.1.481.10 S RTPhysicianIntentStorage RT Physician Intent Storage
  1.2.840.10008.5.1.4.1.1.481.11 S RTSegmentAnnotationStorage RT Segment Annotation Storage
  1.2.840.10008.5.1.4.1.1.481.12 S RTRadiationSetStorage RT Radiation Set Storage
  1.2.840.10008.5.1.4.1.1.481.13 S CArmPhotonElectronRadiationStorage C-Arm Photon-Electron Radiation Storage
  1.2.840.10008.5.1.4.1.1.481.14 S TomotherapeuticRadiationStorage Tomotherapeutic Radiation Storage
  1.2.840.10008.5.1.4.1.1.481.15 S RoboticArmRadiationStorage Robotic-Arm Radiation Storage
  1.2.840.10008.5.1.4.1.1.481.16 S RTRadiationRecordSetStorage RT Radiation Record Set Storage
  1.2.840.10008.5.1.4.1.1.481.17 S RTRadiationSalvageRecordStorage RT Radiation Salvage Record Storage
  1.2.840.10008.5.1.4.1.1.481.18 S TomotherapeuticRadiationRecordStorage Tomotherapeutic Radiation Record Storage
  1.2.840.10008.5.1.4.1.1.481.19 S CArmPhotonElectronRadiationRecordStorage C-Arm Photon-Electron Radiation Record Storage
  1.2.840.10008.5.1.4.1.1.481.2 S RTDoseStorage RT Dose Storage
  1.2.840.10008.5.1.4.1.1.481.20 S RoboticRadiationRecordStorage Robotic Radiation Record Storage
  1.2.840.10008.5.1.4.1.1.481.21 S RTRadiationSetDeliveryInstructionStorage RT Radiation Set Delivery Instruction Storage
  1.2.840.10008.5.1.4.1.1.481.22 S RTTreatmentPreparationStorage RT Treatment Preparation Storage
  1.2.840.10008.5.1.4.1.1.481.23 S EnhancedRTImageStorage Enhanced RT Image Storage
  1.2.840.10008.5.1.4.1.1.481.24 S EnhancedContinuousRTImageStorage Enhanced Continuous RT Image Storage
  1.2.840.10008.5.1.4.1.1.481.25 S RTPatientPositionAcquisitionInstructionStorage RT Patient Position Acquisition Instruction Storage
  1.2.840.10008.5.1.4.1.1.481.3 S RTStructureSetStorage RT Structure Set Storage
  1.2.840.10008.5.1.4.1.1.481.4 S RTBeamsTreatmentRecordStorage RT Beams Treatment Record Storage
  1.2.840.10008.5.1.4.1.1.481.5 S RTPlanStorage RT Plan Storage
  1.2.840.10008.5.1.4.1.1.481.6 S RTBrachyTreatmentRecordStorage RT Brachy Treatment Record Storage
  1.2.840.10008.5.1.4.1.1.481.7 S RTTreatmentSummaryRecordStorage RT Treatment Summary Record Storage
  1.2.840.10008.5.1.4.1.1.481.8 S RTIonPlanStorage RT Ion Plan Storage
  1.2.840.10008.5.1.4.1.1.481.9 S RTIonBeamsTreatmentRecordStorage RT Ion Beams Treatment Record Storage
  1.2.840.10008.5.1.4.1.1.5 S! NuclearMedicineImageStorageRetired Nuclear Medicine Image Storage
  1.2.840.10008.5.1.4.1.1.501.1 C DICOSCTImageStorage DICOS CT Image Storage
  1.2.840.10008.5.1.4.1.1.501.2.1 C DICOSDigitalXRayImageStorageForPresentation DICOS Digital X-Ray Image Storage - For Presentation
  1.2.840.10008.5.1.4.1.1.501.2.2 C DICOSDigitalXRayImageStorageForProcessing DICOS Digital X-Ray Image Storage - For Processing
  1.2.840.10008.5.1.4.1.1.501.3 C DICOSThreatDetectionReportStorage DICOS Threat Detection Report Storage
  1.2.840.10008.5.1.4.1.1.501.4 C DICOS2DAITStorage DICOS 2D AIT Storage
  1.2.840.10008.5.1.4.1.1.501.5 C DICOS3DAITStorage DICOS 3D AIT Storage
  1.2.840.10008.5.1.4.1.1.501.6 C DICOSQuadrupoleResonanceStorage DICOS Quadrupole Resonance (QR) Storage
  1.2.840.10008.5.1.4.1.1.6 S! UltrasoundImageStorageRetired Ultrasound Image Storage
  1.2.840.10008.5.1.4.1.1.6.1 S UltrasoundImageStorage Ultrasound Image Storage
  1.2.840.10008.5.1.4.1.1.6.2 S EnhancedUSVolumeStorage Enhanced US Volume Storage
  1.2.840.10008.5.1.4.1.1.6.3 S PhotoacousticImageStorage Photoacoustic Image Storage
  1.2.840.10008.5.1.4.1.1.601.1 C EddyCurrentImageStorage Eddy Current Image Storage
  1.2.840.10008.5.1.4.1.1.601.2 C EddyCurrentMultiFrameImageStorage Eddy Current Multi-frame Image Storage
  1.2.840.10008.5.1.4.1.1.66 S RawDataStorage Raw Data Storage
  1.2.840.10008.5.1.4.1.1.66.1 S SpatialRegistrationStorage Spatial Registration Storage
  1.2.840.10008.5.1.4.1.1.66.2 S SpatialFiducialsStorage Spatial Fiducials Storage
  1.2.840.10008.5.1.4.1.1.66.3 S DeformableSpatialRegistrationStorage Deformable Spatial Registration Storage
  1.2.840.10008.5.1.4.1.1.66.4 S SegmentationStorage Segmentation Storage
  1.2.840.10008.5.1.4.1.1.66.5 S SurfaceSegmentationStorage Surface Segmentation Storage
  1.2.840.10008.5.1.4.1.1.66.6 S TractographyResultsStorage Tractography Results Storage
  1.2.840.10008.5.1.4.1.1.66.7 S LabelMapSegmentationStorage LabelMapSegmentationStorage
  1.2.840.10008.5.1.4.1.1.66.8 S HeightMapSegmentationStorage HeightMapSegmentationStorage
  1.2.840.10008.5.1.4.1.1.67 S RealWorldValueMappingStorage Real World Value Mapping Storage
  1.2.840.10008.5.1.4.1.1.68.1 S SurfaceScanMeshStorage Surface Scan Mesh Storage
  1.2.840.10008.5.1.4.1.1.68.2 S SurfaceScanPointCloudStorage Surface Scan Point Cloud Storage
  1.2.840.10008.5.1.4.1.1.7 S SecondaryCaptureImageStorage Secondary Capture Image Storage
  1.2.840.10008.5.1.4.1.1.7.1 S MultiFrameSingleBitSecondaryCaptureImageStorage Multi-frame Single Bit Secondary Capture Image Storage
  1.2.840.10008.5.1.4.1.1.7.2 S MultiFrameGrayscaleByteSecondaryCaptureImageStorage Multi-frame Grayscale Byte Secondary Capture Image Storage
  1.2.840.10008.5.1.4.1.1.7.3 S MultiFrameGrayscaleWordSecondaryCaptureImageStorage Multi-frame Grayscale Word Secondary Capture Image Storage
  1.2.840.10008.5.1.4.1.1.7.4 S MultiFrameTrueColorSecondaryCaptureImageStorage Multi-frame True Color Secondary Capture Image Storage
  1.2.840.10008.5.1.4.1.1.77.1 S! VLImageStorageTrial VL Image Storage - Trial
  1.2.840.10008.5.1.4.1.1.77.1.1 S VLEndoscopicImageStorage VL Endoscopic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.1.1 S VideoEndoscopicImageStorage Video Endoscopic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.2 S VLMicroscopicImageStorage VL Microscopic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.2.1 S VideoMicroscopicImageStorage Video Microscopic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.3 S VLSlideCoordinatesMicroscopicImageStorage VL Slide-Coordinates Microscopic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.4 S VLPhotographicImageStorage VL Photographic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.4.1 S VideoPhotographicImageStorage Video Photographic Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.1 S OphthalmicPhotography8BitImageStorage Ophthalmic Photography 8 Bit Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.2 S OphthalmicPhotography16BitImageStorage Ophthalmic Photography 16 Bit Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.3 S StereometricRelationshipStorage Stereometric Relationship Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.4 S OphthalmicTomographyImageStorage Ophthalmic Tomography Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.5 S WideFieldOphthalmicPhotographyStereographicProjectionImageStorage Wide Field Ophthalmic Photography Stereographic Projection Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.6 S WideFieldOphthalmicPhotography3DCoordinatesImageStorage Wide Field Ophthalmic Photography 3D Coordinates Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.7 S OphthalmicOpticalCoherenceTomographyEnFaceImageStorage Ophthalmic Optical Coherence Tomography En Face Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.5.8 S OphthalmicOpticalCoherenceTomographyBscanVolumeAnalysisStorage Ophthalmic Optical Coherence Tomography B-scan Volume Analysis Storage
  1.2.840.10008.5.1.4.1.1.77.1.6 S VLWholeSlideMicroscopyImageStorage VL Whole Slide Microscopy Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.7 S DermoscopicPhotographyImageStorage Dermoscopic Photography Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.8 S ConfocalMicroscopyImageStorage Confocal Microscopy Image Storage
  1.2.840.10008.5.1.4.1.1.77.1.9 S ConfocalMicroscopyTiledPyramidalImageStorage Confocal Microscopy Tiled Pyramidal Image Storage
  1.2.840.10008.5.1.4.1.1.77.2 S! VLMultiFrameImageStorageTrial VL Multi-frame Image Storage - Trial
  1.2.840.10008.5.1.4.1.1.78.1 S LensometryMeasurementsStorage Lensometry Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.2 S AutorefractionMeasurementsStorage Autorefraction Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.3 S KeratometryMeasurementsStorage Keratometry Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.4 S SubjectiveRefractionMeasurementsStorage Subjective Refraction Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.5 S VisualAcuityMeasurementsStorage Visual Acuity Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.6 S SpectaclePrescriptionReportStorage Spectacle Prescription Report Storage
  1.2.840.10008.5.1.4.1.1.78.7 S OphthalmicAxialMeasurementsStorage Ophthalmic Axial Measurements Storage
  1.2.840.10008.5.1.4.1.1.78.8 S IntraocularLensCalculationsStorage Intraocular Lens Calculations Storage
  1.2.840.10008.5.1.4.1.1.79.1 S MacularGridThicknessAndVolumeReportStorage Macular Grid Thickness and Volume Report Storage
  1.2.840.10008.5.1.4.1.1.8 S! StandaloneOverlayStorage Standalone Overlay Storage
  1.2.840.10008.5.1.4.1.1.80.1 S OphthalmicVisualFieldStaticPerimetryMeasurementsStorage Ophthalmic Visual Field Static Perimetry Measurements Storage
  1.2.840.10008.5.1.4.1.1.81.1 S OphthalmicThicknessMapStorage Ophthalmic Thickness Map Storage
  1.2.840.10008.5.1.4.1.1.82.1 S CornealTopographyMapStorage Corneal Topography Map Storage
  1.2.840.10008.5.1.4.1.1.88.1 S! TextSRStorageTrial Text SR Storage - Trial
  1.2.840.10008.5.1.4.1.1.88.11 S BasicTextSRStorage Basic Text SR Storage
  1.2.840.10008.5.1.4.1.1.88.2 S! AudioSRStorageTrial Audio SR Storage - Trial
  1.2.840.10008.5.1.4.1.1.88.22 S EnhancedSRStorage Enhanced SR Storage
  1.2.840.10008.5.1.4.1.1.88.3 S! DetailSRStorageTrial Detail SR Storage - Trial
  1.2.840.10008.5.1.4.1.1.88.33 S ComprehensiveSRStorage Comprehensive SR Storage
  1.2.840.10008.5.1.4.1.1.88.34 S Comprehensive3DSRStorage Comprehensive 3D SR Storage
  1.2.840.10008.5.1.4.1.1.88.35 S ExtensibleSRStorage Extensible SR Storage
  1.2.840.10008.5.1.4.1.1.88.4 S! ComprehensiveSRStorageTrial Comprehensive SR Storage - Trial
  1.2.840.10008.5.1.4.1.1.88.40 S ProcedureLogStorage Procedure Log Storage
  1.2.840.10008.5.1.4.1.1.88.50 S MammographyCADSRStorage Mammography CAD SR Storage
  1.2.840.10008.5.1.4.1.1.88.59 S KeyObjectSelectionDocumentStorage Key Object Selection Document Storage
  1.2.840.10008.5.1.4.1.1.88.65 S ChestCADSRStorage Chest CAD SR Storage
  1.2.840.10008.5.1.4.1.1.88.67 S XRayRadiationDoseSRStorage X-Ray Radiation Dose SR Storage
  1.2.840.10008.5.1.4.1.1.88.68 S RadiopharmaceuticalRadiationDoseSRStorage Radiopharmaceutical Radiation Dose SR Storage
  1.2.840.10008.5.1.4.1.1.88.69 S ColonCADSRStorage Colon CAD SR Storage
  1.2.840.10008.5.1.4.1.1.88.70 S ImplantationPlanSRStorage Implantation Plan SR Storage
  1.2.840.10008.5.1.4.1.1.88.71 S AcquisitionContextSRStorage Acquisition Context SR Storage
  1.2.840.10008.5.1.4.1.1.88.72 S SimplifiedAdultEchoSRStorage Simplified Adult Echo SR Storage
  1.2.840.10008.5.1.4.1.1.88.73 S PatientRadiationDoseSRStorage Patient Radiation Dose SR Storage
  1.2.840.10008.5.1.4.1.1.88.74 S PlannedImagingAgentAdministrationSRStorage Planned Imaging Agent Administration SR Storage
  1.2.840.10008.5.1.4.1.1.88.75 S PerformedImagingAgentAdministrationSRStorage Performed Imaging Agent Administration SR Storage
  1.2.840.10008.5.1.4.1.1.88.76 S EnhancedXRayRadiationDoseSRStorage Enhanced X-Ray Radiation Dose SR Storage
  1.2.840.10008.5.1.4.1.1.88.77 S WaveformAnnotationSRStorage Waveform Annotation SR Storage
  1.2.840.10008.5.1.4.1.1.9 S! StandaloneCurveStorage Standalone Curve Storage
  1.2.840.10008.5.1.4.1.1.9.1 S! WaveformStorageTrial Waveform Storage - Trial
  1.2.840.10008.5.1.4.1.1.9.1.1 S TwelveLeadECGWaveformStorage 12-lead ECG Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.1.2 S GeneralECGWaveformStorage General ECG Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.1.3 S AmbulatoryECGWaveformStorage Ambulatory ECG Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.1.4 S General32bitECGWaveformStorage General 32-bit ECG Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.100.1 S WaveformPresentationStateStorage WaveformPresentationStateStorage
  1.2.840.10008.5.1.4.1.1.9.100.2 S WaveformAcquisitionPresentationStateStorage WaveformAcquisitionPresentationStateStorage
  1.2.840.10008.5.1.4.1.1.9.2.1 S HemodynamicWaveformStorage Hemodynamic Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.3.1 S CardiacElectrophysiologyWaveformStorage Cardiac Electrophysiology Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.4.1 S BasicVoiceAudioWaveformStorage Basic Voice Audio Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.4.2 S GeneralAudioWaveformStorage General Audio Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.5.1 S ArterialPulseWaveformStorage Arterial Pulse Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.6.1 S RespiratoryWaveformStorage Respiratory Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.6.2 S MultichannelRespiratoryWaveformStorage Multi-channel Respiratory Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.7.1 S RoutineScalpElectroencephalogramWaveformStorage Routine Scalp Electroencephalogram Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.7.2 S ElectromyogramWaveformStorage Electromyogram Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.7.3 S ElectrooculogramWaveformStorage Electrooculogram Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.7.4 S SleepElectroencephalogramWaveformStorage Sleep Electroencephalogram Waveform Storage
  1.2.840.10008.5.1.4.1.1.9.8.1 S BodyPositionWaveformStorage Body Position Waveform Storage
  1.2.840.10008.5.1.4.1.1.90.1 S ContentAssessmentResultsStorage Content Assessment Results Storage
  1.2.840.10008.5.1.4.1.1.91.1 S MicroscopyBulkSimpleAnnotationsStorage Microscopy Bulk Simple Annotations Storage
  1.2.840.10008.5.1.4.1.2.1.1 C PatientRootQueryRetrieveInformationModelFind Patient Root Query/Retrieve Information Model - FIND
  1.2.840.10008.5.1.4.1.2.1.2 C PatientRootQueryRetrieveInformationModelMove Patient Root Query/Retrieve Information Model - MOVE
  1.2.840.10008.5.1.4.1.2.1.3 C PatientRootQueryRetrieveInformationModelGet Patient Root Query/Retrieve Information Model - GET
  1.2.840.10008.5.1.4.1.2.2.1 C StudyRootQueryRetrieveInformationModelFind Study Root Query/Retrieve Information Model - FIND
  1.2.840.10008.5.1.4.1.2.2.2 C StudyRootQueryRetrieveInformationModelMove Study Root Query/Retrieve Information Model - MOVE
  1.2.840.10008.5.1.4.1.2.2.3 C StudyRootQueryRetrieveInformationModelGet Study Root Query/Retrieve Information Model - GET
  1.2.840.10008.5.1.4.1.2.3.1 C! PatientStudyOnlyQueryRetrieveInformationModelFind Patient/Study Only Query/Retrieve Information Model - FIND
  1.2.840.10008.5.1.4.1.2.3.2 C! PatientStudyOnlyQueryRetrieveInformationModelMove Patient/Study Only Query/Retrieve Information Model - MOVE
  1.2.840.10008.5.1.4.1.2.3.3 C! PatientStudyOnlyQueryRetrieveInformationModelGet Patient/Study Only Query/Retrieve Information Model - GET
  1.2.840.10008.5.1.4.1.2.4.2 C CompositeInstanceRootRetrieveMove Composite Instance Root Retrieve - MOVE
  1.2.840.10008.5.1.4.1.2.4.3 C CompositeInstanceRootRetrieveGet Composite Instance Root Retrieve - GET
  1.2.840.10008.5.1.4.1.2.5.3 C CompositeInstanceRetrieveWithoutBulkDataGet Composite Instance Retrieve Without Bulk Data - GET
  1.2.840.10008.5.1.4.20.1 C DefinedProcedureProtocolInformationModelFind Defined Procedure Protocol Information Model - FIND
  1.2.840.10008.5.1.4.20.2 C DefinedProcedureProtocolInformationModelMove Defined Procedure Protocol Information Model - MOVE
  1.2.840.10008.5.1.4.20.3 C DefinedProcedureProtocolInformationModelGet Defined Procedure Protocol Information Model - GET
  1.2.840.10008.5.1.4.31 C ModalityWorklistInformationModelFind Modality Worklist Information Model - FIND
  1.2.840.10008.5.1.4.32 M! GeneralPurposeWorklistManagementMeta General Purpose Worklist Management Meta SOP Class
  1.2.840.10008.5.1.4.32.1 C! GeneralPurposeWorklistInformationModelFind General Purpose Worklist Information Model - FIND
  1.2.840.10008.5.1.4.32.2 C! GeneralPurposeScheduledProcedureStep General Purpose Scheduled Procedure Step SOP Class
  1.2.840.10008.5.1.4.32.3 C! GeneralPurposePerformedProcedureStep General Purpose Performed Procedure Step SOP Class
  1.2.840.10008.5.1.4.33 C InstanceAvailabilityNotification Instance Availability Notification SOP Class
  1.2.840.10008.5.1.4.34.1 C! RTBeamsDeliveryInstructionStorageTrial RT Beams Delivery Instruction Storage - Trial
  1.2.840.10008.5.1.4.34.10 S RTBrachyApplicationSetupDeliveryInstructionStorage RT Brachy Application Setup Delivery Instruction Storage
  1.2.840.10008.5.1.4.34.2 C! RTConventionalMachineVerificationTrial RT Conventional Machine Verification - Trial
  1.2.840.10008.5.1.4.34.3 C! RTIonMachineVerificationTrial RT Ion Machine Verification - Trial
  1.2.840.10008.5.1.4.34.4 -! UnifiedWorklistAndProcedureStepTrial Unified Worklist and Procedure Step Service Class - Trial
  1.2.840.10008.5.1.4.34.4.1 C! UnifiedProcedureStepPushTrial Unified Procedure Step - Push SOP Class - Trial
  1.2.840.10008.5.1.4.34.4.2 C! UnifiedProcedureStepWatchTrial Unified Procedure Step - Watch SOP Class - Trial
  1.2.840.10008.5.1.4.34.4.3 C! UnifiedProcedureStepPullTrial Unified Procedure Step - Pull SOP Class - Trial
  1.2.840.10008.5.1.4.34.4.4 C! UnifiedProcedureStepEventTrial Unified Procedure Step - Event SOP Class - Trial
  1.2.840.10008.5.1.4.34.5 - UPSGlobalSubscriptionInstance UPS Global Subscription SOP Instance
  1.2.840.10008.5.1.4.34.5.1 - UPSFilteredGlobalSubscriptionInstance UPS Filtered Global Subscription SOP Instance
  1.2.840.10008.5.1.4.34.6 - UnifiedWorklistAndProcedureStep Unified Worklist and Procedure Step Service Class
  1.2.840.10008.5.1.4.34.6.1 C UnifiedProcedureStepPush Unified Procedure Step - Push SOP Class
  1.2.840.10008.5.1.4.34.6.2 C UnifiedProcedureStepWatch Unified Procedure Step - Watch SOP Class
  1.2.840.10008.5.1.4.34.6.3 C UnifiedProcedureStepPull Unified Procedure Step - Pull SOP Class
  1.2.840.10008.5.1.4.34.6.4 C UnifiedProcedureStepEvent Unified Procedure Step - Event SOP Class
  1.2.840.10008.5.1.4.34.6.5 C UnifiedProcedureStepQuery Unified Procedure Step - Query SOP Class
  1.2.840.10008.5.1.4.34.7 S RTBeamsDeliveryInstructionStorage RT Beams Delivery Instruction Storage
  1.2.840.10008.5.1.4.34.8 C RTConventionalMachineVerification RT Conventional Machine Verification
  1.2.840.10008.5.1.4.34.9 C RTIonMachineVerification RT Ion Machine Verification
  1.2.840.10008.5.1.4.37.1 C GeneralRelevantPatientInformationQuery General Relevant Patient Information Query
  1.2.840.10008.5.1.4.37.2 C BreastImagingRelevantPatientInformationQuery Breast Imaging Relevant Patient Information Query
  1.2.840.10008.5.1.4.37.3 C CardiacRelevantPatientInformationQuery Cardiac Relevant Patient Information Query
  1.2.840.10008.5.1.4.38.1 C HangingProtocolStorage Hanging Protocol Storage
  1.2.840.10008.5.1.4.38.2 C HangingProtocolInformationModelFind Hanging Protocol Information Model - FIND
  1.2.840.10008.5.1.4.38.3 C HangingProtocolInformationModelMove Hanging Protocol Information Model - MOVE
  1.2.840.10008.5.1.4.38.4 C HangingProtocolInformationModelGet Hanging Protocol Information Model - GET
  1.2.840.10008.5.1.4.39.1 C ColorPaletteStorage Color Palette Storage
  1.2.840.10008.5.1.4.39.2 C ColorPaletteQueryRetrieveInformationModelFind Color Palette Query/Retrieve Information Model - FIND
  1.2.840.10008.5.1.4.39.3 C ColorPaletteQueryRetrieveInformationModelMove Color Palette Query/Retrieve Information Model - MOVE
  1.2.840.10008.5.1.4.39.4 C ColorPaletteQueryRetrieveInformationModelGet Color Palette Query/Retrieve Information Model - GET
  1.2.840.10008.5.1.4.41 C ProductCharacteristicsQuery Product Characteristics Query SOP Class
  1.2.840.10008.5.1.4.42 C SubstanceApprovalQuery Substance Approval Query SOP Class
  1.2.840.10008.5.1.4.43.1 C GenericImplantTemplateStorage Generic Implant Template Storage
  1.2.840.10008.5.1.4.43.2 C GenericImplantTemplateInformationModelFind Generic Implant Template Information Model - FIND
  1.2.840.10008.5.1.4.43.3 C GenericImplantTemplateInformationModelMove Generic Implant Template Information Model - MOVE
  1.2.840.10008.5.1.4.43.4 C GenericImplantTemplateInformationModelGet Generic Implant Template Information Model - GET
  1.2.840.10008.5.1.4.44.1 C ImplantAssemblyTemplateStorage Implant Assembly Template Storage
  1.2.840.10008.5.1.4.44.2 C ImplantAssemblyTemplateInformationModelFind Implant Assembly Template Information Model - FIND
  1.2.840.10008.5.1.4.44.3 C ImplantAssemblyTemplateInformationModelMove Implant Assembly Template Information Model - MOVE
  1.2.840.10008.5.1.4.44.4 C ImplantAssemblyTemplateInformationModelGet Implant Assembly Template Information Model - GET
  1.2.840.10008.5.1.4.45.1 C ImplantTemplateGroupStorage Implant Template Group Storage
  1.2.840.10008.5.1.4.45.2 C ImplantTemplateGroupInformationModelFind Implant Template Group Information Model - FIND
  1.2.840.10008.5.1.4.45.3 C ImplantTemplateGroupInformationModelMove Implant Template Group Information Model - MOVE
  1.2.840.10008.5.1.4.45.4 C ImplantTemplateGroupInformationModelGet Implant Template Group Information Model - GET
  1.2.840.10008.7.1.1 - NativeDICOMModel Native DICOM Model
  1.2.840.10008.7.1.2 - AbstractMultiDimensionalImageModel Abstract Multi-Dimensional Image Model
  1.2.840.10008.8.1.1 - DICOMContentMappingResource DICOM Content Mapping Resource

  """
